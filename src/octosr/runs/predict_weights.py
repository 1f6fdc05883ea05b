"""Which checkpoint ``predict.py`` takes where none is named."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from octosr.errors import MissingWeightsError
from octosr.runs.build import technique_class


def with_checkpoint(cfg: DictConfig) -> DictConfig:
    """The config with a dataset, whose checkpoint is taken: the one given, or the only one that was trained on.

    Raises:
        MissingWeightsError: there is no checkpoint of the technique, or several; with what can be done.
    """
    if cfg.weights is not None or cfg.get("dataset") is not None or not technique_class(cfg).trainable:
        return cfg
    name = str(cfg.technique.name)
    folder = Path(cfg.output_root) / "checkpoints" / name
    found = sorted(path.parent.name for path in folder.glob("*/last.ckpt"))
    if len(found) == 1:
        cfg = OmegaConf.create(OmegaConf.to_container(cfg))  # type: ignore[assignment]  # a DictConfig comes from one
        with open_dict(cfg):
            cfg.dataset = {"name": found[0]}
        return cfg
    if found:
        raise MissingWeightsError(
            f"technique={name} has {len(found)} checkpoints in {folder}: {', '.join(found)}. "
            f"Say which: weights={folder / found[0] / 'last.ckpt'}"
        )
    raise MissingWeightsError(
        f"There are no weights for technique '{name}'.\n"
        f"  looked for: {folder}/*/last.ckpt\n"
        "Three ways to get them:\n"
        f"  train:            python train.py technique={name} dataset=...\n"
        "  your own file:    weights=PATH            (a checkpoint of ours, or an official release;"
        " a list, one file a stage: weights=[x2.pth,x4.pth])\n"
        "  download:         weights=https://...     (append #sha256=... to have it verified)\n"
        "Without any: technique=bicubic or technique=lanczos."
    )
