"""From score tables to answers: python report.py; which cells are missing: python report.py --missing"""

import sys
from functools import partial

import hydra
from omegaconf import DictConfig

from octosr.runs.cli import entry_point


@partial(entry_point, metrics_group=False)
@hydra.main(version_base="1.3", config_path="conf/report", config_name="report")
def main(cfg: DictConfig) -> None:
    """Make the report; imported late, so that a misspelt setting is answered at once."""
    from octosr.runs.report import report

    report(cfg)


if __name__ == "__main__":
    sys.argv[1:] = ["missing=true" if argument == "--missing" else argument for argument in sys.argv[1:]]
    main()
