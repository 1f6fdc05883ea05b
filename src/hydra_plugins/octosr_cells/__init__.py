"""A sweeper for Hydra that runs a list of cells from a file: ``hydra/sweeper=cells hydra.sweeper.file=batch.json``.

Hydra's own sweeps are full products of their axes. What is left of a matrix that was interrupted is not, and should
still be one array of jobs.
"""

# No "from __future__ import annotations": Hydra runs this file without making it a module, which dataclasses would
# need then.
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig


@dataclass
class CellSweeperConf:
    """Its settings."""

    _target_: str = "hydra_plugins.octosr_cells.CellSweeper"
    file: str = MISSING


ConfigStore.instance().store(group="hydra/sweeper", name="cells", node=CellSweeperConf, provider="octosr")


class CellSweeper(Sweeper):
    """Gives the launcher one job for each list of overrides in a file.

    Args:
        file: JSON, a list of lists of overrides.
    """

    launcher: Launcher

    def __init__(self, file: str) -> None:
        self.file = file

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra."""
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Launch all; overrides of the command line come before those of each cell, which win."""
        cells: list[list[str]] = json.loads(Path(self.file).read_text(encoding="utf-8"))
        return [self.launcher.launch([[*arguments, *cell] for cell in cells], initial_job_idx=0)]
