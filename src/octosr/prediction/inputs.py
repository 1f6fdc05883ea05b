"""Which files are enlarged, and where each result goes; everything that can be refused before work starts is."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from octosr.data.locate import EXTENSIONS, natural_key
from octosr.errors import ConfigError


@dataclass(frozen=True)
class Job:
    """One image to enlarge.

    Attributes:
        source: its file.
        target: the file to write.
        name: the target relative to the output folder, with slashes; what the result is filed under.
    """

    source: Path
    target: Path
    name: str


def find_jobs(inputs: Sequence[str], output: Path, suffix_of: Callable[[Path], str]) -> list[Job]:
    """What there is to do.

    Args:
        inputs: each a file, a folder (searched with its subfolders), or a pattern with ``*``, ``?``, ``[`` or ``**``.
        output: the folder for the results. Below a folder, or the fixed part of a pattern, their structure is kept.
        suffix_of: the extension of the result, from the image's file.

    Returns:
        The jobs, in natural order of the source within each input.

    Raises:
        ConfigError: nothing is there; the output is no folder; two images would be written to the same file, or one
            over an image that is to be read.
    """
    _check_output(output)
    jobs: dict[Path, Job] = {}
    for item in inputs:
        for source, relative in _files(item, output):
            name = relative.with_suffix(suffix_of(source)).as_posix()
            jobs.setdefault(source, Job(source, output / name, name))
    _check_targets(list(jobs.values()))
    return list(jobs.values())


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output={output} is a file. Name a folder; each result is written there under its own name.")
    if not output.exists() and output.suffix.lower() in EXTENSIONS:
        raise ConfigError(
            f"output={output} looks like an image. Name a folder; each result is written there under its own name "
            "(the kind of file is chosen with format=...)."
        )


def _files(item: str, output: Path) -> Iterator[tuple[Path, Path]]:
    """The files that one input means, each with its path relative to what the structure is kept below."""
    path = Path(item).expanduser()
    if path.is_dir():
        yield from _folder(path, output)
    elif os.path.lexists(path):
        yield path, Path(path.name)
    elif glob.has_magic(item):
        yield from _pattern(str(path), output)
    else:
        raise ConfigError(f"input={item}: there is no such file or folder (looked in {path.absolute().parent}).")


def _folder(folder: Path, output: Path) -> Iterator[tuple[Path, Path]]:
    if output.resolve() == folder.resolve():
        raise ConfigError(f"output={output} is the input folder itself: the next run would enlarge the results again.")
    found = []
    for place, folders, names in os.walk(folder):
        here = Path(place)
        # Results of an earlier run are not images to enlarge, even where they lie below the input.
        folders[:] = [name for name in folders if not name.startswith(".") and not _same(here / name, output)]
        found += [here / name for name in names if _looks_like_an_image(name)]
    if not found:
        raise ConfigError(
            f"input={folder}: no image files there or in its subfolders "
            f"({', '.join(sorted(extension[1:] for extension in EXTENSIONS))})."
        )
    for path in sorted(found, key=lambda path: natural_key(path.relative_to(folder).as_posix())):
        yield path, path.relative_to(folder)


def _pattern(pattern: str, output: Path) -> Iterator[tuple[Path, Path]]:
    base = _fixed_part(pattern)
    inside = output.resolve()
    found = [Path(name) for name in glob.glob(pattern, recursive=True)]
    found = [path for path in found if not (path.is_dir() and path.suffix.lower() not in EXTENSIONS)]
    found = [path for path in found if inside not in path.resolve().parents or inside == base.resolve()]
    if not found:
        raise ConfigError(f"input={pattern}: no file matches (a pattern must be quoted: 'input={pattern}').")
    for path in sorted(found, key=lambda path: natural_key(path.as_posix())):
        yield path, path.relative_to(base) if base != Path() else path


def _fixed_part(pattern: str) -> Path:
    """The folders before the first one with a wildcard."""
    fixed: list[str] = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)


def _looks_like_an_image(name: str) -> bool:
    return Path(name).suffix.lower() in EXTENSIONS and not name.startswith(".")


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _check_targets(jobs: Sequence[Job]) -> None:
    sources = {os.path.realpath(job.source): job.source for job in jobs}
    by_target: dict[str, Job] = {}
    doubles, over = [], []
    for job in jobs:
        target = os.path.realpath(job.target)
        first = by_target.setdefault(target, job)
        if first is not job:
            doubles.append(f"  {first.source} and {job.source}: both {job.target}")
        if target in sources:
            over.append(f"  {job.source}: {job.target} is an image to be read")
    if doubles:
        raise ConfigError(
            "Several images would be written to the same file:\n"
            + "\n".join(doubles)
            + "\nRename one of each, keep the kinds of file apart with format=same, or run them into two folders."
        )
    if over:
        raise ConfigError("Results would overwrite images:\n" + "\n".join(over) + "\nChoose another output folder.")
