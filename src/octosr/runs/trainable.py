"""``python -m octosr.runs.trainable CONF NAMES``: those of the techniques that there is something to train of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

from hydra.utils import get_class
from omegaconf import OmegaConf

from octosr.errors import ConfigError, OctoSRError, nearest
from octosr.techniques.base import Technique


def trainable(conf: Path, techniques: list[str]) -> list[str]:
    """The techniques that can be trained.

    Args:
        conf: the folder of the configs.
        techniques: options of its group ``technique``.

    Raises:
        ConfigError: there is no such technique.
    """
    there = sorted(path.stem for path in (conf / "technique").glob("*.yaml"))
    found = []
    for name in techniques:
        if name not in there:
            hint = nearest(name, there) or f" Choose from: {', '.join(there)}."
            raise ConfigError(f"There is no technique '{name}'.{hint}")
        config = OmegaConf.load(conf / "technique" / f"{name}.yaml")
        if cast(type[Technique], get_class(config._target_)).trainable:
            found.append(name)
    return found


if __name__ == "__main__":
    try:
        names = trainable(Path(sys.argv[1]), [name for name in sys.argv[2].split(",") if name])
    except OctoSRError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    sys.stdout.write(",".join(names) + "\n")
