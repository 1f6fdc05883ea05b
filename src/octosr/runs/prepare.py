"""What ``python prepare.py`` does: get the study's datasets, build one from anyone's images, lay stand-ins, or look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from octosr.catalog import DATASETS, find
from octosr.data.demo import build_demo
from octosr.data.standin import build_standins
from octosr.errors import ConfigError, nearest
from octosr.runs.console import console
from octosr.runs.prepare_look import check, look, progress_bar, table_of
from octosr.runs.prepare_own import build
from octosr.runs.prepare_study import complete_from_kaggle, given
from octosr.runs.prepare_weights import prepare_weights
from octosr.typed import typed

SOURCES = ("kaggle", "standin", "check")
IMAGES = ("auto", "study", "own")


def prepare(cfg: DictConfig) -> None:
    """Fetch weights (``weights=...``), or get what is missing of the datasets, and check all of them.

    Raises:
        ConfigError: an unknown dataset or source, a place that is taken, or a folder that cannot be written.
        MissingDataError: a dataset is missing (one message for all of them), or the demo photographs are.
        BadImageError: files cannot be used (the whole list).
        ArchiveError, DownloadError: the archive is refused; Kaggle did not give its.
    """
    if cfg.get("weights") is not None:
        prepare_weights(cfg.weights, Path(cfg.output_root))
        return
    names = dataset_names(cfg.dataset)
    for key, value, options in (("source", cfg.source, SOURCES), ("images", cfg.images, IMAGES)):
        if value not in options:
            hint = nearest(str(value), options)
            raise ConfigError(f"{key}={value} is unknown.{hint} Choose one of: {', '.join(options)}.")
    root = Path(cfg.data.root)
    with _writable(root):
        if cfg["from"] is not None:
            with given(Path(cfg["from"]), root, names, cfg.images, cfg.data.max_pixels) as images:
                if images.study is not None:
                    images.lay(cfg.published is not False)
                else:
                    build(cfg, names[0], images.folder, root)
        elif cfg.source == "kaggle":
            complete_from_kaggle(names, root, cfg.published, cfg.data.max_pixels)
        elif cfg.source == "check":
            check(names, root, cfg.data.max_pixels)
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


@contextmanager
def _writable(root: Path) -> Iterator[None]:
    """A folder that cannot be written is a setting to change, not a bug."""
    try:
        yield
    except OSError as error:
        place = error.filename or root
        raise ConfigError(
            f"{place} cannot be written ({error.strerror or error}). "
            "Choose other folders with data.root=... or output_root=..."
        ) from error


def lay_standins(names: Sequence[str], root: Path, cache: Path) -> None:
    """Cut stand-ins from the demo photographs and say what they are and what can be typed next."""
    with progress_bar() as progress:
        task = progress.add_task("STAND-IN", total=len(names) + 1)
        demo = build_demo(cache)
        progress.advance(task)
        build_standins(root, names, demo, advance=lambda _: progress.advance(task))
    console.print(table_of([look(name, root) for name in names], root))
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
