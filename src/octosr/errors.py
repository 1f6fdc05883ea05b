"""Errors meant for the person at the keyboard: each says what is wrong and what to do next.

The entry points print these without a traceback and exit with a non-zero code; anything else is a
bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager


class OctoSRError(Exception):
    """Base of every error whose message is written for the user."""


class ConfigError(OctoSRError):
    """A setting is missing, misspelt or contradicts another."""


class MissingDataError(OctoSRError):
    """A dataset is not where it is looked for."""


class BadImageError(OctoSRError):
    """One or more image files cannot be used.

    Args:
        problems: pairs (file, reason), the whole list, so that one run shows everything to mend.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = list(problems)
        lines = "\n".join(f"  {path}: {reason}" for path, reason in self.problems)
        n = len(self.problems)
        super().__init__(
            f"{n} image file{'s' if n != 1 else ''} cannot be used:\n{lines}\n"
            "Mend or remove them, or go on without them with data.on_bad_image=skip."
        )


class MissingWeightsError(OctoSRError):
    """No weights were found for a technique that needs them."""


class WrongWeightsError(OctoSRError):
    """A weight file is not what the technique expects; the message says what was expected and found."""


class ArchiveError(OctoSRError):
    """An archive is damaged, or holds something that no honest archive of images holds; nothing of it was kept."""


class DownloadError(OctoSRError):
    """A file cannot be downloaded, or is not the one that was expected."""


class MissingMetricError(OctoSRError):
    """A metric cannot be computed here (package or parameters missing)."""


class TrainingError(OctoSRError):
    """Training cannot go on (for example a loss that is not finite)."""


class DiskError(OctoSRError):
    """A disk is full, or does not let a file be written or read."""


class TooLittleMemoryError(OctoSRError):
    """An image cannot be processed in the memory there is, not even in the smallest parts."""


def nearest(word: str, options: Iterable[str], *, sentence: bool = True) -> str:
    """The option nearest to a misspelt word, as a hint to append to a message; empty if none is near.

    >>> nearest("isadi", ["isaid", "ships"])
    " Did you mean 'isaid'?"
    >>> nearest("isadi", ["isaid", "ships"], sentence=False)
    'isaid'
    """
    found = difflib.get_close_matches(word, list(options), n=1, cutoff=0.6)
    if not found:
        return ""
    return f" Did you mean '{found[0]}'?" if sentence else found[0]


_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}


@contextmanager
def written_for_the_user() -> Iterator[None]:
    """Within the block, an error of the disk is raised as one that says what to do; others come through as they are.

    Raises:
        OctoSRError: a disk is full, or a file cannot be written or read.

    >>> with written_for_the_user():
    ...     raise OSError(errno.ENOSPC, "No space left on device", "out/a.png")
    Traceback (most recent call last):
    octosr.errors.DiskError: out/a.png: No space left on device. ...
    """
    try:
        yield
    except OSError as error:
        if not is_of_the_disk(error):
            raise
        raise DiskError(disk_message(error)) from error


def is_of_the_disk(error: OSError) -> bool:
    """Whether a disk is full, or does not let a file be written or read."""
    return error.errno in _OF_THE_DISK


def disk_message(error: OSError) -> str:
    """What an error of the disk means for a run, and what to do."""
    return (
        f"{error.filename or 'A file'}: {error.strerror}. Nothing is left half-written; what was finished before is "
        "kept. Make room, mend the permissions or set output_root to another disk, then start the same command again."
    )
