"""Decoded images kept on disk, so that the cells of a sweep and the processes of a run decode a large set once.

One file a set of images, mapped into memory: processes on one machine share its pages, and what is not looked at is
not read. The file says which images it was made of (path, size, time of the last change); where one differs, all are
decoded again and the file is replaced.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from octosr.atomic import replacing
from octosr.data.bank import ImageBank
from octosr.data.processes import say

log = logging.getLogger(__name__)

LEAST_BYTES = 64 * 2**20
"""Smaller sets are decoded sooner than their file is looked for."""
_VERSION = "1"
_FIELDS = ("pixels", "starts", "heights", "widths")


def kept_bank(
    folder: Path, paths: Sequence[Path], variant: str, most_bytes: int, load: Callable[[], ImageBank]
) -> ImageBank:
    """The images of a set, from the file that is there or decoded and put there.

    Sets with unusable files, of less than ``LEAST_BYTES`` or of more than ``most_bytes`` are not kept. Where the folder
    cannot be written, or the disk is full, a warning says so and the run goes on with what it decoded.

    Args:
        folder: for things that can be made again, ``outputs/cache/decoded``.
        paths: the image files.
        variant: what else the result depends on.
        most_bytes: of decoded pixels; 0 keeps nothing.
        load: decodes them.
    """
    # No format stores photographs in less than a hundredth.
    if not most_bytes or sum(path.stat().st_size for path in paths if path.is_file()) < LEAST_BYTES // 100:
        return load()
    name = hashlib.sha256(json.dumps([_VERSION, variant, *(str(path.absolute()) for path in paths)]).encode())
    file = folder / f"{name.hexdigest()[:32]}.safetensors"
    found = _read(file, paths)
    if found is not None:
        return found
    lock = FileLock(file.with_suffix(".lock"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()  # the others wait, and find it decoded
    except OSError as error:
        _not_kept(error)
        return load()
    try:
        found = _read(file, paths)
        bank = load() if found is None else found
        if found is None and not bank.problems and LEAST_BYTES <= bank.nbytes <= most_bytes:
            _write(file, bank, paths)
    finally:
        lock.release()
    return bank


def _not_kept(error: Exception) -> None:
    say(log, logging.WARNING, f"decoded images are not kept, so the next run decodes them again: {error}")


def _state(paths: Sequence[Path]) -> str:
    """What says whether a file is still the one that was decoded."""
    there = [path.stat() if path.is_file() else None for path in paths]
    return json.dumps([found and [found.st_size, found.st_mtime_ns] for found in there])


def _write(file: Path, bank: ImageBank, paths: Sequence[Path]) -> None:
    tensors = {name: getattr(bank, name) for name in _FIELDS}
    tensors |= {f"deep.{number}": torch.from_numpy(np.ascontiguousarray(image)) for number, image in bank.deep.items()}
    try:
        with replacing(file) as temporary:
            save_file(tensors, temporary, metadata={"state": _state(paths)})
    except (OSError, SafetensorError) as error:  # the library's own for a full disk
        _not_kept(error)


def _read(file: Path, paths: Sequence[Path]) -> ImageBank | None:
    """None where there is nothing, or something older than the images, or what is no longer whole."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, "pt") as content:
            if content.metadata()["state"] != _state(paths):
                return None
            keys = content.keys()
            fields = {name: content.get_tensor(name) for name in _FIELDS}
            deep = {int(key[5:]): content.get_tensor(key).numpy() for key in keys if key.startswith("deep.")}
    except SafetensorError as error:
        say(log, logging.WARNING, f"{file} is damaged ({error}); the images are decoded again")
        return None
    return ImageBank(paths=tuple(paths), deep=deep, **fields)
