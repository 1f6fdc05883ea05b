"""``octosr predict`` and ``python predict.py``: enlarge anybody's own images."""

from functools import partial

import hydra
from omegaconf import DictConfig

from octosr.runs.cli import entry_point
from octosr.runs.conf import conf_folder


@partial(entry_point, metrics_group=False)
@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="predict")
def main(cfg: DictConfig) -> None:
    """Imported late, so that a misspelt setting is answered at once."""
    from octosr.runs.predict import predict

    predict(cfg)


if __name__ == "__main__":
    main()
