"""Work on many image files at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rich.progress import Progress

from octosr.data.decode import UnreadableImage
from octosr.data.processes import is_first

Result = TypeVar("Result")

_MANY = 200
"""From so many files on, there is a progress bar."""


def for_each_file(work: Callable[[Path], Result], paths: Sequence[Path], title: str) -> list[Result | UnreadableImage]:
    """Apply ``work`` to every file in a few threads (decoders release the interpreter lock).

    Args:
        work: takes a file; may raise :class:`UnreadableImage`, which becomes the result for that file.
        paths: the files.
        title: what the progress bar says, shown by the first process and for many files only.

    Returns:
        One result a file, in their order. Any other exception of ``work`` is raised here.
    """

    def guarded(path: Path) -> Result | UnreadableImage:
        try:
            return work(path)
        except UnreadableImage as error:
            return error

    quiet = len(paths) <= _MANY or not is_first()
    with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool, Progress(disable=quiet) as progress:
        return list(progress.track(pool.map(guarded, paths), total=len(paths), description=title))
