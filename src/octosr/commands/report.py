"""``octosr report`` and ``python report.py``: from score tables to answers; ``--missing``: which cells are missing."""

import sys
from functools import partial

import hydra
from omegaconf import DictConfig

from octosr.runs.cli import entry_point
from octosr.runs.conf import conf_folder


@partial(entry_point, metrics_group=False)
@hydra.main(version_base="1.3", config_path=str(conf_folder() / "report"), config_name="report")
def make(cfg: DictConfig) -> None:
    """Imported late, so that a misspelt setting is answered at once."""
    from octosr.runs.report import report

    report(cfg)


def main() -> None:
    """As typed: ``--missing`` is short for ``missing=true``."""
    sys.argv[1:] = ["missing=true" if argument == "--missing" else argument for argument in sys.argv[1:]]
    make()


if __name__ == "__main__":
    main()
