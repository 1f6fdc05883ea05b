"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name in the same folder, which takes the final one when the ``with`` ends well.

    The temporary name starts with a dot, so image folders ignore a leftover. What was written under it is flushed to
    the disk before it is renamed.

    Args:
        path: the file to make or replace; its folder is created where missing.

    Raises:
        OSError: the folder cannot be written, or the disk is full; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: it makes files that only their owner can read, whatever the umask says.
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            error.filename = str(path)  # a full disk names no file, others the temporary one
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, never sees half of it; see :func:`replacing`.

    Args:
        path: the file to make or replace; its folder is created where missing.
        content: the whole content.

    Raises:
        OSError: the folder cannot be written, or the disk is full; nothing is left behind then.
    """
    with replacing(path) as temporary, temporary.open("xb") as stream:
        stream.write(content)
