"""``report.py``: from score tables to tables, tests, figures and one HTML page. Imports no torch."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from omegaconf import DictConfig
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from octosr.errors import ConfigError
from octosr.runs.console import console
from octosr.typed import typed

if TYPE_CHECKING:
    from octosr.study.document import Document
    from octosr.study.exports import Exported
    from octosr.study.inputs import ScoreSet

log = logging.getLogger(__name__)

PACKAGES = ("jinja2", "matplotlib", "scikit_posthocs")
_STATUS = {"complete": "green", "partial": "yellow", "failed": "red", "missing": "dim"}


def report(cfg: DictConfig) -> None:
    """Make the report, or with ``missing=true`` only say which cells are there.

    Args:
        cfg: the composed ``conf/report/report.yaml``.

    Raises:
        OctoSRError: there are no scores, or a setting names something that is not there, with the remedy.
    """
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if absent:
        raise ConfigError(f"report.py needs {', '.join(absent)}: pip install 'octosr[report]'.")
    from octosr.runs import report_inputs as inputs
    from octosr.study.manifest import manifest, summary

    scores = inputs.read(cfg)
    options, states = inputs.options(cfg, scores), inputs.states(cfg)
    cells = manifest(scores, states=states, techniques=options.techniques, datasets=options.datasets)
    standins = sum(kind == "stand-in" for kind in scores.kinds.values())
    if standins:
        log.warning("STAND-IN data in %d of %d cells: not the study's images", standins, len(scores.kinds))
    if cfg.missing:
        show_cells(cells)
        return
    from octosr.study.document_builder import build_document

    folder = Path(cfg.output_root) / "report"
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("analysing", total=None)
        generated = inputs.generated(cfg, scores)
        document = build_document(scores, states=states, options=options, generated=generated)
        if standins:
            document = replace(document, title=f"{document.title} (STAND-IN data)")
        exported, page = write(document, scores, folder, cfg, bar)
        bar.update(task, visible=False)
    log_to_wandb(cfg, document, exported, folder)
    if (cells["status"] != "complete").any():
        console.print(f"{summary(cells)} {typed('report')} --missing lists them.", markup=False)
    warnings = [gate for section in document.sections for gate in section.gates if gate.outcome == "warn"]
    if warnings:
        gates = "sanity gate warns" if len(warnings) == 1 else "sanity gates warn"
        console.print(f"{len(warnings)} {gates}; the report says what that means.", markup=False)
    say_where(page, exported)


def write(document: Document, scores: ScoreSet, folder: Path, cfg: DictConfig, bar: Progress) -> tuple[Exported, Path]:
    """Write all files of the report.

    Raises:
        ConfigError: the folder cannot be written.
    """
    from octosr.study import names
    from octosr.study.exports import export
    from octosr.study.figures import colour_of
    from octosr.study.page import Extras, ImageRoots, collect
    from octosr.study.page import write as write_page

    parts = sum(len(section.tables) + len(section.figures) for section in document.sections)
    task = bar.add_task("tables and figures", total=parts)
    try:
        exported = export(document, folder, progress=lambda: bar.advance(task))
        bar.update(task, description="images", total=None)
        demo = Path(cfg.output_root) / "cache" / "demo-v1"
        roots = ImageRoots(
            hr=Path(cfg.images) if cfg.images is not None else Path(cfg.output_root) / "hr",
            data=Path(cfg.data.root),
            lr={"demo": demo, "demo_pairs": demo / "pairs"},
        )
        explorer = collect(
            scores.frame, folder, roots, higher_is_better=_known(scores.higher_is_better), title=names.title
        )
        bar.update(task, description="page")
        techniques = list(scores.frame["technique"].unique())
        extras = Extras(
            colours={name: colour_of(name) for name in techniques},
            titles={name: names.title(name) for name in techniques},
            drawn=exported.drawn,
            downloads=exported.downloads,
        )
        page = write_page(document, explorer, folder, extras)
    except OSError as error:
        place = error.filename or folder
        raise ConfigError(
            f"{place} cannot be read or written ({error.strerror or error}). Choose another folder with output_root=..."
        ) from error
    for file, reason in explorer.problems.items():
        log.warning("%s cannot be shown: %s", file, reason)
    return exported, page


def show_cells(cells: pd.DataFrame) -> None:
    """Print which cells are there: a grid, and a line for each that is not complete and has something to say."""
    from octosr.study import names
    from octosr.study.manifest import summary

    techniques = names.technique_order(cells["technique"])
    table = Table(title=summary(cells), title_justify="left")
    table.add_column("dataset")
    for technique in techniques:
        table.add_column(escape(names.title(technique)))
    status = cells.set_index(["dataset", "technique"])["status"]
    for dataset in names.dataset_order(cells["dataset"]):
        words = [str(status[dataset, technique]) for technique in techniques]
        table.add_row(escape(dataset), *(f"[{_STATUS[word]}]{word}[/]" for word in words))
    console.print(table)
    for row in cells[(cells["status"] != "complete") & (cells["note"] != "")].itertuples():
        console.print(f"{row.status:8} {names.title(row.technique)} on {row.dataset}: {row.note}", markup=False)


def log_to_wandb(cfg: DictConfig, document: Document, exported: Exported, folder: Path) -> None:
    """Log the report to W&B and build the saved workspace, if asked for."""
    if cfg.wandb.mode is None:
        return
    from octosr.runs.report_wandb import log_report

    for line in log_report(cfg, document, exported, folder):
        console.print(line, markup=False)


def say_where(page: Path, exported: Exported) -> None:
    """Say where everything is."""
    folder = page.parent
    kinds = [path.split("/")[0] for files in exported.downloads.values() for path in files.values()]
    console.print(f"page     {page} ({page.stat().st_size / 1e6:.1f} MB; open it in a browser)", markup=False)
    console.print(
        f"tables   {folder / 'tables'} ({kinds.count('tables') // 3} as CSV, LaTeX and Markdown)", markup=False
    )
    console.print(f"figures  {folder / 'figures'} ({kinds.count('figures') // 2} as SVG and PNG)", markup=False)
    console.print(f"data     {folder / 'report.json'}", markup=False)


def _known(directions: Mapping[str, bool | None]) -> dict[str, bool]:
    return {metric: higher for metric, higher in directions.items() if higher is not None}
