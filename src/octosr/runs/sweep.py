"""Sweeps (``-m``): one message when data are missing, one line a cell as it finishes, one table at the end."""

from __future__ import annotations

import logging
import math
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.markup import escape
from rich.table import Table

from octosr.catalog import DATASETS
from octosr.errors import ConfigError, MissingDataError, OctoSRError
from octosr.runs.cells import is_main_process
from octosr.runs.claim import Claim
from octosr.runs.conf import conf_folder
from octosr.runs.console import console
from octosr.runs.fingerprint import digest_of_configs, inputs_of, settings_of


@dataclass
class CellResult:
    """What one run (technique x dataset) has to say.

    Attributes:
        technique: name of the technique.
        dataset: name of the dataset.
        kind: what the data are: ``study``, ``stand-in``, ``own``, ``demo`` or ``folder``.
        values: figures by name, e.g. the mean of each metric; NaN means there is none.
        note: a short remark, e.g. "20 images".
        words: what stands in the place of a figure that is NaN, if not "not available".
        unfinished: why there is work left though nothing failed, e.g. the time of the allocation was over.
    """

    technique: str
    dataset: str
    kind: str
    values: dict[str, float] = field(default_factory=dict)
    note: str = ""
    words: dict[str, str] = field(default_factory=dict)
    unfinished: str = ""


@dataclass
class _Cell:
    name: str
    result: CellResult | None
    error: str = ""


_cells: list[_Cell] = []
_said: set[str] = set()

log = logging.getLogger(__name__)
MOST_COLUMNS = 6  # metrics side by side in 80 characters


def warn(message: str) -> None:
    """A warning that the cells of one sweep would all repeat is said once."""
    if message not in _said or not in_sweep():
        _said.add(message)
        log.warning(message)


_refused: ConfigError | None = None


def require_claim() -> None:
    """To be called before a run touches anything.

    Raises:
        ConfigError: another run works on the same cell.
    """
    if _refused is not None:
        raise _refused


def _write_end(claim: Claim, cell: _Cell) -> None:
    result = cell.result
    if cell.error:
        claim.finish("failed", cell.error)
    elif result is not None:
        kept = {key: value for key, value in asdict(result).items() if key != "unfinished"}
        claim.finish("pending" if result.unfinished else "done", result.unfinished, **kept)
    else:
        claim.finish("done")


class SweepCallback(Callback):
    """Hydra's hooks around a sweep; registered in ``conf/shared.yaml``."""

    _claim: Claim | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the claim: submitit stores its job anew, hooks and all, before it has it queued again."""
        return {}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check that the data of every cell are there before the first one starts, and end the sweep if not.

        Raises:
            SystemExit: after one message for all the datasets that are missing (Hydra turns any other
                exception of a callback into a warning and goes on).
        """
        _cells.clear()
        _said.clear()
        if _works_on_saved_images(config):
            return
        root = Path(str(OmegaConf.select(config, "data.root")))
        missing = [name for name in _swept_datasets(config) if not _is_there(name, root)]
        if missing:
            from octosr.data.locate import missing_message

            sys.stderr.write(f"error: {missing_message(missing, root)}\n")
            raise SystemExit(1)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Take the cell; a refusal waits for :func:`require_claim`: Hydra would only warn of an exception."""
        global _refused
        self._claim, _refused = None, None
        if not is_main_process():
            return
        root, job, technique, dataset = _place(config)
        settings = settings_of(config, job)
        about: dict[str, Any] = {
            "overrides": list(config.hydra.overrides.task),
            "settings": settings,
            "inputs": inputs_of(settings, root, job, technique),
            "configs": digest_of_configs(conf_folder()),
        }
        try:
            self._claim = Claim(root, job, technique, dataset, **about)
        except ConfigError as error:
            _refused = error

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write how the cell ended; in a sweep, say one line about it."""
        name = " ".join(config.hydra.overrides.task)
        if job_return.status == JobStatus.COMPLETED:
            value = job_return.return_value
            cell = _Cell(name, value if isinstance(value, CellResult) else None)
        else:
            error = job_return._return_value
            cell = _Cell(
                name, None, str(error) if isinstance(error, OctoSRError) else f"{type(error).__name__}: {error}"
            )
        if self._claim is not None:
            _write_end(self._claim, cell)
            self._claim = None
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        if cell.error and not isinstance(job_return._return_value, OctoSRError):
            log.error("a bug, not a setting", exc_info=job_return._return_value)
        _cells.append(cell)
        console.print(_line(cell))


def finish() -> int:
    """Print the table of all cells of a sweep, if there was one.

    Returns:
        The number of failed cells.
    """
    cells = list(_cells)
    _cells.clear()
    if not cells:
        return 0
    results = [cell.result for cell in cells if cell.result is not None]
    if results:
        console.print(results_table(results))
    failed = [cell for cell in cells if cell.error]
    for cell in failed:
        console.print(f"[red]failed[/] {escape(cell.name)}: {escape(cell.error)}")
    return len(failed)


def results_table(results: list[CellResult]) -> Table:
    """A table with one row a cell and one column a figure; data that are not the study's are marked."""
    kinds = {result.kind for result in results}
    standin = " [bold red]STAND-IN data: not the study's images[/]" if "stand-in" in kinds else ""
    table = Table(title=f"{len(results)} cells{standin}" if len(results) > 1 else standin.strip() or None)
    columns = list(dict.fromkeys(key for result in results for key in result.values))
    if len(results) == 1 and len(columns) > MOST_COLUMNS:
        return _upright(table, results[0])
    table.add_column("technique")
    table.add_column("dataset")
    if kinds != {"study"}:
        table.add_column("data")
    for column in columns:
        table.add_column(column, justify="right")
    table.add_column("")
    for result in results:
        cells = [escape(result.technique), escape(result.dataset)]
        if kinds != {"study"}:
            cells.append(kind_label(result.kind))
        cells += [figure(result.values.get(column), result.words.get(column)) for column in columns]
        table.add_row(*cells, escape(result.note))
    return table


def _upright(table: Table, result: CellResult) -> Table:
    """One cell with more metrics than fit side by side: one row a metric."""
    kind = "" if result.kind == "study" else f" ({kind_label(result.kind)})"
    table.add_column("metric")
    table.add_column(escape(f"{result.technique}, {result.dataset}{kind}"), justify="right")
    for name, value in result.values.items():
        table.add_row(escape(name), figure(value, result.words.get(name)))
    table.caption = escape(result.note)
    return table


def kind_label(kind: str) -> str:
    """How a kind of data is written in tables: stand-ins must never pass for the study's data."""
    return "STAND-IN" if kind == "stand-in" else kind


def figure(value: float | None, words: str | None = None) -> str:
    """A number for a table: four decimals, or in its place these words, or "not available"."""
    if value is None:
        return ""
    if math.isnan(value):
        return words or "not available"
    return f"{value:.0f}" if value.is_integer() and abs(value) >= 1 else f"{value:.4f}"


def _line(cell: _Cell) -> str:
    if cell.error:
        return f"[red]failed[/]  {escape(cell.name)}: {escape(cell.error.splitlines()[0])}"
    if cell.result is None:
        return f"[green]done[/]    {escape(cell.name)}"
    result = cell.result
    values = "  ".join(f"{key} {figure(value, result.words.get(key))}" for key, value in result.values.items())
    label = "" if result.kind == "study" else f"  ({kind_label(result.kind)})"
    head = f"[green]done[/]    {escape(result.technique)} on {escape(result.dataset)}"
    return f"{head}{label}  {values}  {escape(result.note)}"


def _place(config: DictConfig) -> tuple[Path, str, str, str]:
    """Where the state of a cell stands: output root, job, technique, dataset."""
    return (
        Path(str(config.output_root)),
        str(config.hydra.job.name),
        str(config.technique.name),
        str(config.dataset.name),
    )


def _swept_datasets(config: DictConfig) -> list[str]:
    """The study datasets that the ``dataset=`` override of a sweep stands for, globs resolved."""
    names: list[str] = []
    for override in _overrides(config):
        if override.key_or_group == "dataset" and override.is_sweep_override():
            names += list(override.sweep_string_iterator())
    return [name for name in names if name in DATASETS]


def _works_on_saved_images(config: DictConfig) -> bool:
    """Whether every cell scores images that are there already, for which no LR images are needed."""
    chosen: dict[str, list[str]] = {}
    for override in _overrides(config):
        sweep = override.is_sweep_override()
        values = list(override.sweep_string_iterator()) if sweep else [str(override.get_value_element_as_str())]
        chosen[override.key_or_group] = values
    return chosen.get("technique") == ["precomputed"] or chosen.get("metrics.only") == ["true"]


def _overrides(config: DictConfig) -> list[Override]:
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    return list(parser.parse_overrides(list(config.hydra.overrides.task)))


def _is_there(name: str, root: Path) -> bool:
    from octosr.data.locate import locate  # imports torch, which report.py does without

    try:
        locate(name, root)
    except MissingDataError:
        return False
    return True


IN_SWEEP = "OCTOSR_IN_SWEEP"
"""Environment variable of the processes of a cell: "1" where the cell belongs to a sweep."""


def in_sweep() -> bool:
    """Whether this run is one cell of a sweep (``-m``): then it leaves the talking to the sweep.

    A job that submitit has started is not: what it says goes to a log file of its own.
    """
    if os.environ.get(IN_SWEEP) == "1":
        return True
    if "SUBMITIT_EXECUTOR" in os.environ:
        return False
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
