"""What lies where the datasets belong: every image decoded, compared with what is known of the study, as one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from octosr.catalog import TECHNIQUES, find
from octosr.data.decode import MAX_PIXELS, UnreadableImage, read_image_uint8
from octosr.data.locate import images_in, locate, missing_message
from octosr.data.study_place import PUBLISHED, changed
from octosr.errors import BadImageError, ConfigError, MissingDataError
from octosr.runs.console import console


@dataclass
class Found:
    """What lies in the folder of a dataset; `folder` is None where there is none.

    `strangers` counts images that are not named as the study's are, `published` the study's HR images by technique.
    """

    name: str
    folder: Path | None = None
    standin: bool = False
    own: bool = False
    files: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    unusable: list[tuple[str, str]] = field(default_factory=list)
    strangers: int = 0
    published: Counter[str] = field(default_factory=Counter)

    @property
    def is_study(self) -> bool:
        """Whether this is the study's set as far as can be told: number, names, sizes, and all of it readable."""
        expected = find(self.name)
        return (
            not (self.standin or self.own or self.unusable or self.strangers)
            and self.files == expected.count
            and set(self.sizes) == {(expected.lr_side, expected.lr_side)}
        )


def check(names: Sequence[str], root: Path, max_pixels: int = MAX_PIXELS) -> list[Found]:
    """Decode every image of the datasets, print a table, and raise if anything is missing or cannot be read."""
    with progress_bar() as progress:
        task = progress.add_task("checking", total=len(names))
        found = []
        for name in names:
            found.append(look(name, root, max_pixels))
            progress.advance(task)
    console.print(table_of(found, root))
    problems = [problem for entry in found for problem in entry.unusable]
    missing = [entry.name for entry in found if entry.folder is None]
    if missing:
        for file, reason in problems:
            console.print(f"{file}: {reason}", markup=False)
        raise MissingDataError(missing_message(missing, root))
    if problems:
        raise BadImageError(problems)
    return found


def look(name: str, root: Path, max_pixels: int = MAX_PIXELS) -> Found:
    """Find a dataset, decode all of its LR images, and compare them with what is noted where they were laid."""
    try:
        files = locate(name, root)
    except MissingDataError:
        return Found(name)
    except ConfigError as error:  # two files of one name, or images in two places
        return Found(name, root, unusable=[(str(root), str(error))])
    found = Found(name, files.folder, files.standin, files.own, len(files.lr))
    found.unusable += changed(files.lr[0].parent)
    found.strangers = sum(not find(name).is_study_stem(path.stem) for path in files.lr)
    found.published = published(name, root)
    for path in files.lr:
        try:
            height, width, _ = read_image_uint8(path, max_pixels).shape
        except UnreadableImage as error:
            found.unusable.append((str(path), error.reason))
        else:
            found.sizes[width, height] += 1
    return found


def published(name: str, root: Path) -> Counter[str]:
    """How many of the study's published HR images of a dataset are there, by technique."""
    folders = {technique: root / PUBLISHED / technique / name for technique in TECHNIQUES}
    return Counter({technique: len(images_in(folder)) for technique, folder in folders.items() if folder.is_dir()})


def progress_bar() -> Progress:
    """Of few and long steps; it is gone when they are done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True)


def table_of(found: Sequence[Found], root: Path) -> Table:
    """One row a dataset; the study's published HR images have a column where there are any."""
    table = Table(title=f"Datasets under {root}", title_justify="left")
    any_published = any(entry.published for entry in found)
    headings = ("dataset", "domain", "images", "width x height", "state")
    for heading in (*headings, "published HR images") if any_published else headings:
        table.add_column(heading, justify="right" if heading == "images" else "left")
    for entry in found:
        cells = [
            entry.name,
            find(entry.name).domain,
            str(entry.files or "-"),
            _sizes(entry.sizes) or "-",
            _state(entry),
        ]
        table.add_row(*cells, *([_published(entry.published)] if any_published else []))
    return table


def _published(counts: Counter[str]) -> str:
    return ", ".join(f"{TECHNIQUES[technique].title} {number}" for technique, number in counts.items()) or "-"


def _sizes(sizes: Counter[tuple[int, int]]) -> str:
    """The most frequent sizes, with their numbers where there are several."""
    shown = [f"{w}x{h}" + (f" ({n})" if len(sizes) > 1 else "") for (w, h), n in sizes.most_common(3)]
    return ", ".join(shown) + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else "")


def _state(entry: Found) -> str:
    if entry.folder is None:
        return "[red]missing[/red]"
    notes = ["[yellow]STAND-IN[/yellow]"] if entry.standin else []
    if entry.own:
        notes.append("[yellow]own images, not the study's[/yellow]")
    if entry.unusable:
        notes.append(f"[red]{len(entry.unusable)} unusable[/red]")
    expected = find(entry.name)
    if not (entry.standin or entry.own) and entry.files != expected.count:
        notes.append(f"[yellow]the study has {expected.count}[/yellow]")
    if not (entry.standin or entry.own) and entry.strangers:
        notes.append(f"[yellow]{entry.strangers} not named as the study's[/yellow]")
    if any(size != (expected.lr_side, expected.lr_side) for size in entry.sizes):
        notes.append(f"[yellow]the study has {expected.lr_side}x{expected.lr_side}[/yellow]")
    return ", ".join(notes) or "[green]complete[/green]"
