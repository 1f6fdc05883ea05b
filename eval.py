"""Super-resolve and score: python eval.py technique=dan dataset=isaid"""

import hydra
from omegaconf import DictConfig

from octosr.runs.cli import entry_point
from octosr.runs.sweep import CellResult


@entry_point
@hydra.main(version_base="1.3", config_path="conf", config_name="eval")
def main(cfg: DictConfig) -> CellResult:
    """Run one cell; imported late, so that a misspelt setting is answered at once."""
    from octosr.runs.evaluate import evaluate

    return evaluate(cfg)


if __name__ == "__main__":
    main()
