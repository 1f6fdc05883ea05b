"""What ``python prepare.py`` does: say which datasets are there, or lay stand-ins to try the commands with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig, ListConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from octosr.catalog import DATASETS, find
from octosr.data.decode import UnreadableImage, read_image_uint8
from octosr.data.demo import build_demo
from octosr.data.locate import locate, missing_message
from octosr.data.standin import build_standins
from octosr.errors import BadImageError, ConfigError, MissingDataError, nearest
from octosr.runs.console import console
from octosr.runs.prepare_weights import prepare_weights
from octosr.typed import typed

SOURCES = ("check", "standin")


@dataclass
class Found:
    """What lies in the folder of a dataset; `folder` is None where there is none."""

    name: str
    folder: Path | None = None
    standin: bool = False
    files: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    unusable: list[tuple[str, str]] = field(default_factory=list)


def prepare(cfg: DictConfig) -> None:
    """Fetch weights (weights=...), or check the datasets (source=check) or lay stand-ins (source=standin).

    Raises:
        ConfigError: an unknown dataset or source, or a folder that cannot be written.
        MissingDataError: a dataset is missing (one message for all of them), or the demo photographs are.
        BadImageError: files cannot be used (the whole list).
    """
    if cfg.get("weights") is not None:
        prepare_weights(cfg.weights, Path(cfg.output_root))
        return
    names = dataset_names(cfg.dataset)
    if cfg.source not in SOURCES:
        hint = nearest(str(cfg.source), SOURCES)
        raise ConfigError(f"source={cfg.source} is unknown.{hint} Choose one of: {', '.join(SOURCES)}.")
    root = Path(cfg.data.root)
    if cfg.source == "check":
        check(names, root)
    else:
        lay_standins(names, root, Path(cfg.output_root) / "cache")


def dataset_names(value: str | ListConfig | Sequence[str]) -> list[str]:
    """The datasets meant by `all`, a name, names with commas between, or a list; each once, in the order given."""
    parts = value.split(",") if isinstance(value, str) else [str(part) for part in value]
    wanted = [part.strip() for part in parts if part.strip()]
    if not wanted:
        raise ConfigError(f"dataset names nothing. Choose one of: all, {', '.join(DATASETS)}.")
    if "all" in wanted:
        return list(DATASETS)
    return list(dict.fromkeys(find(name).name for name in wanted))


def check(names: Sequence[str], root: Path) -> None:
    """Decode every image of the datasets, print a table, and raise if anything is missing or cannot be read."""
    with _progress() as progress:
        task = progress.add_task("checking", total=len(names))
        found = []
        for name in names:
            found.append(look(name, root))
            progress.advance(task)
    console.print(_table(found, root))
    problems = [problem for entry in found for problem in entry.unusable]
    missing = [entry.name for entry in found if entry.folder is None]
    if missing:
        for file, reason in problems:
            console.print(f"{file}: {reason}", markup=False)
        raise MissingDataError(missing_message(missing, root))
    if problems:
        raise BadImageError(problems)


def look(name: str, root: Path) -> Found:
    """Find a dataset and decode all of its LR images."""
    try:
        files = locate(name, root)
    except MissingDataError:
        return Found(name)
    except ConfigError as error:  # two files of one name, or images in two places
        return Found(name, root, unusable=[(str(root), str(error))])
    found = Found(name, files.folder, files.standin, len(files.lr))
    for path in files.lr:
        try:
            height, width, _ = read_image_uint8(path).shape
        except UnreadableImage as error:
            found.unusable.append((str(path), error.reason))
        else:
            found.sizes[width, height] += 1
    return found


def lay_standins(names: Sequence[str], root: Path, cache: Path) -> None:
    """Cut stand-ins from the demo photographs and say what they are and what can be typed next."""
    try:
        with _progress() as progress:
            task = progress.add_task("STAND-IN", total=len(names) + 1)
            demo = build_demo(cache)
            progress.advance(task)
            build_standins(root, names, demo, advance=lambda _: progress.advance(task))
    except OSError as error:
        place = error.filename or root
        raise ConfigError(
            f"{place} cannot be written ({error.strerror or error}). "
            "Choose other folders with data.root=... or output_root=..."
        ) from error
    console.print(_table([look(name, root) for name in names], root))
    console.print(
        f"STAND-IN data for {len(names)} dataset{'s' if len(names) > 1 else ''} in {root}: crops of demo photographs, "
        "not the study's images.\nThey are for trying the commands; scores made with them mean nothing.",
        style="bold yellow",
        markup=False,
    )
    choice = f"dataset={names[0]}" if len(names) == 1 else "-m 'dataset=glob(*)'"
    if 1 < len(names) < len(DATASETS):
        choice = f"-m dataset={','.join(names)}"
    where = "" if root == Path("data") else f" data.root={root}"
    console.print(f"Next: {typed('eval')} {choice} technique=bicubic{where}", markup=False)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True)


def _table(found: Sequence[Found], root: Path) -> Table:
    table = Table(title=f"Datasets under {root}", title_justify="left")
    for heading in ("dataset", "domain", "images", "width x height", "state"):
        table.add_column(heading, justify="right" if heading == "images" else "left")
    for entry in found:
        table.add_row(
            entry.name, find(entry.name).domain, str(entry.files or "-"), _sizes(entry.sizes) or "-", _state(entry)
        )
    return table


def _sizes(sizes: Counter[tuple[int, int]]) -> str:
    """The most frequent sizes, with their numbers where there are several."""
    shown = [f"{w}x{h}" + (f" ({n})" if len(sizes) > 1 else "") for (w, h), n in sizes.most_common(3)]
    return ", ".join(shown) + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else "")


def _state(entry: Found) -> str:
    if entry.folder is None:
        return "[red]missing[/red]"
    notes = ["[yellow]STAND-IN[/yellow]"] if entry.standin else []
    if entry.unusable:
        notes.append(f"[red]{len(entry.unusable)} unusable[/red]")
    expected = find(entry.name)
    if not entry.standin and entry.files != expected.count:
        notes.append(f"[yellow]the study has {expected.count}[/yellow]")
    if any(size != (expected.lr_side, expected.lr_side) for size in entry.sizes):
        notes.append(f"[yellow]the study has {expected.lr_side}x{expected.lr_side}[/yellow]")
    return ", ".join(notes) or "[green]complete[/green]"
