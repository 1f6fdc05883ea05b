"""Hashes of files, remembered for large ones: hashing half a gigabyte of weights at every start takes seconds."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from pathlib import Path

from octosr.atomic import write_bytes

logger = logging.getLogger(__name__)

REMEMBERED_FROM = 16 << 20
"""Size in bytes from which a hash is remembered; smaller files are hashed in a few hundredths of a second."""
SETTLED_NS = 2_000_000_000
"""A file changed less than this ago is not remembered: a further change may fall on the same tick of the clock."""


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, read now.

    Raises:
        OSError: the file cannot be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a").write_bytes(b"abc")
    ...     file_sha256(Path(folder, "a"))[:8]
    'ba7816bf'
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def cached_sha256(path: Path) -> str:
    """Hash of a file's bytes, from memory if the very same file was hashed before.

    Same means: resolved path, size, device, inode, time of the last change of the content and of the entry (``mtime``
    and ``ctime``, in nanoseconds). The last cannot be set by a program, so a file that was overwritten and given its
    old date back is hashed again, as is one that was moved or had its rights changed.

    Hashes are kept in :func:`hash_folder`, one small file each, written in one step. That this folder cannot be
    written costs time, not correctness: the file is hashed at every start then.

    Raises:
        OSError: the file cannot be read.
    """
    stamp = _stamp(path)
    if int(stamp["size"]) < REMEMBERED_FROM:
        return file_sha256(path)
    name = hashlib.sha256(str(stamp["path"]).encode("utf-8", "surrogateescape")).hexdigest()
    memory = hash_folder() / f"{name}.json"
    digest = _recall(memory, stamp)
    if digest is None:
        digest = file_sha256(path)
        changed = max(int(stamp["mtime_ns"]), int(stamp["ctime_ns"]))
        if _stamp(path) == stamp and time.time_ns() - changed > SETTLED_NS:
            _remember(memory, stamp | {"sha256": digest})
    return digest


def hash_folder() -> Path:
    """Where hashes are remembered: ``$XDG_CACHE_HOME/octosr/sha256``, by default under ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "octosr" / "sha256"


def _stamp(path: Path) -> dict[str, str | int]:
    path = path.resolve()
    status = path.stat()
    return {
        "path": str(path),
        "size": status.st_size,
        "device": status.st_dev,
        "inode": status.st_ino,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
    }


def _recall(memory: Path, stamp: dict[str, str | int]) -> str | None:
    """The remembered hash; None if there is none for exactly this stamp, whatever else the file may hold."""
    try:
        content = json.loads(memory.read_bytes())
    except (OSError, ValueError):  # none yet, or damaged: hashed anew, and the file is replaced
        return None
    if not isinstance(content, dict):
        return None
    digest = content.pop("sha256", None)
    return digest if content == stamp and isinstance(digest, str) and len(digest) == 64 else None


def _remember(memory: Path, content: dict[str, str | int]) -> None:
    try:
        write_bytes(memory, json.dumps(content).encode())
    except OSError as error:
        logger.info("The hash of %s cannot be remembered in %s: %s", content["path"], memory.parent, error)
