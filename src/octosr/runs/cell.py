"""One cell (technique x dataset) as an entry point runs it: alone in its place, in as many processes as it wants."""

from __future__ import annotations

import importlib
import logging

from omegaconf import DictConfig

from octosr.errors import written_for_the_user
from octosr.runs.allocation import check_allocation, processes_wanted, started_elsewhere
from octosr.runs.cells import Job, is_main_process
from octosr.runs.light_imports import import_lightning
from octosr.runs.processes import is_cell_process, run_in_processes, tell_outcome
from octosr.runs.sweep import CellResult, require_claim

_FUNCTIONS: dict[Job, tuple[str, str]] = {
    "train": ("octosr.runs.train", "train"),
    "eval": ("octosr.runs.evaluate", "evaluate"),
}


def run_cell(cfg: DictConfig, job: Job) -> CellResult:
    """Run a cell: here if one process does it, else in processes of its own.

    The processes of one machine are started here, each with the settings of this cell alone; those that torchrun or
    SLURM have started are taken as they are.

    Args:
        cfg: the composed config; Hydra must be running.
        job: what is done with the cell.

    Returns:
        What the first process has to say.

    Raises:
        OctoSRError: what ``train`` and ``evaluate`` raise; another run works on the cell; a process died; the disk is
            full or cannot be written; other processes were started than the hardware settings want.
    """
    if not is_main_process():  # the first process speaks for all
        logging.getLogger("octosr").setLevel(logging.WARNING)
    if is_cell_process():
        return tell_outcome(lambda: _run_here(cfg, job))
    require_claim()
    check_allocation(cfg)
    if processes_wanted(cfg) > 1 and not started_elsewhere():
        return run_in_processes(cfg, job)
    return _run_here(cfg, job)


def _run_here(cfg: DictConfig, job: Job) -> CellResult:
    """Imported late, so that what is wrong with the settings is answered at once."""
    module, name = _FUNCTIONS[job]
    import_lightning()
    with written_for_the_user():
        result: CellResult = getattr(importlib.import_module(module), name)(cfg)
    return result
