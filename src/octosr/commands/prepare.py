"""``octosr prepare`` and ``python prepare.py``: get, check or build the datasets."""

from functools import partial

import hydra
from omegaconf import DictConfig

from octosr.runs.cli import entry_point
from octosr.runs.conf import conf_folder


@partial(entry_point, metrics_group=False)
@hydra.main(version_base="1.3", config_path=str(conf_folder() / "prepare"), config_name="prepare")
def main(cfg: DictConfig) -> None:
    """Imported late, so that a misspelt setting is answered at once."""
    from octosr.runs.prepare import prepare

    prepare(cfg)


if __name__ == "__main__":
    main()
