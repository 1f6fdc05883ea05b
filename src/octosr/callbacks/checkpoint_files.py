"""The checkpoint files of a cell: the last state, the one before it, and which of them is whole.

A file that was written whole can still be cut off or altered afterwards, by a disk, a copy or a person. So the state
before the last one is kept, and a checkpoint's own checksums are compared before it is used.
"""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
import zlib
from pathlib import Path

from octosr.errors import WrongWeightsError

log = logging.getLogger(__name__)

LAST, PREVIOUS, DAMAGED = "last.ckpt", "previous.ckpt", "damaged.ckpt"


def keep_previous(last: Path) -> None:
    """Let ``previous.ckpt`` be what ``last.ckpt`` is now; to be called before that one is replaced.

    Both names stand for one file until then, so it costs neither time nor, after that, a moment without a whole file.
    """
    if last.is_file():
        _give_name(last, last.with_name(PREVIOUS))


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint file, by the checksums (CRC-32) that torch writes into it; None if nothing is.

    ``torch.load`` compares none of them: a flipped bit would become a weight.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        return str(error)
    return f"the checksum of {bad} is wrong" if bad is not None else None


def whole_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint of a cell that is whole: ``last.ckpt``, or ``previous.ckpt`` where that one is damaged.

    Returns:
        The file; None if there is no ``last.ckpt``.

    Raises:
        WrongWeightsError: both are damaged, or there is no other.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    if not last.is_file():
        return None
    problem = damage(last)
    if problem is None:
        return last
    if previous.is_file() and damage(previous) is None:
        log.warning("%s is damaged (%s): the state before it is taken instead, %s.", last, problem, previous)
        return previous
    raise WrongWeightsError(
        f"{last} is damaged ({problem}), and there is no whole {PREVIOUS} beside it. Start anew with resume=never "
        "(it is moved aside, not removed), or go on from another file with weights=FILE."
    )


def mend(folder: Path) -> None:
    """Put ``previous.ckpt`` in the place of a damaged ``last.ckpt``, which is kept as ``damaged.ckpt``."""
    _give_name(folder / LAST, folder / DAMAGED)
    _give_name(folder / PREVIOUS, folder / LAST)


def _give_name(path: Path, name: Path) -> None:
    """A second name for a file, in place of whatever has it; a copy where the file system has no second names."""
    temporary = name.with_name(f".{name.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(path, temporary)
        except OSError:  # FAT, some network file systems; what else is wrong shows in copying
            shutil.copyfile(path, temporary)
        os.replace(temporary, name)
    finally:
        temporary.unlink(missing_ok=True)  # replace() does nothing where both are names of one file
