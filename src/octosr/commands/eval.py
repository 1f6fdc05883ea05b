"""``octosr eval`` and ``python eval.py``: super-resolve a dataset and score it."""

from functools import partial

import hydra
from omegaconf import DictConfig

from octosr.runs.cell import run_cell
from octosr.runs.cli import entry_point
from octosr.runs.conf import conf_folder
from octosr.runs.sweep import CellResult


@partial(entry_point, help_with=("dataset=more/demo",))
@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="eval")
def main(cfg: DictConfig) -> CellResult:
    """Run one cell."""
    return run_cell(cfg, "eval")


if __name__ == "__main__":
    main()
