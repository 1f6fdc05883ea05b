"""``octosr train`` and ``python train.py``: train one technique on one dataset."""

from functools import partial

import hydra
from omegaconf import DictConfig

from octosr.runs.cli import entry_point
from octosr.runs.conf import conf_folder
from octosr.runs.sweep import CellResult


@partial(entry_point, help_with=("dataset=more/demo",))
@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
def main(cfg: DictConfig) -> CellResult:
    """Imported late, so that a misspelt setting is answered at once."""
    from octosr.runs.train import train

    return train(cfg)


if __name__ == "__main__":
    main()
