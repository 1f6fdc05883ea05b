"""Check the datasets, or lay stand-ins to try things with: python prepare.py dataset=all source=standin"""

import hydra
from omegaconf import DictConfig

from octosr.runs.cli import entry_point


@entry_point
@hydra.main(version_base="1.3", config_path="conf/prepare", config_name="prepare")
def main(cfg: DictConfig) -> None:
    """Imported late, so that a misspelt setting is answered at once."""
    from octosr.runs.prepare import prepare

    prepare(cfg)


if __name__ == "__main__":
    main()
