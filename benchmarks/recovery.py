"""What the benchmarks of blur recovery share: training a technique of one stage, test images, the distance of blurs."""

from __future__ import annotations

from pathlib import Path

import octosr._torchvision  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from octosr.runs.train import train
from octosr.runs.weights import describe_technique, load_technique
from octosr.techniques.base import Technique

TEST_IDS = 2**41
"""Ids of the test kernels: no training sample has them."""


def trained(
    name: str, folder: Path, output: Path, scale: int, overrides: list[str], own: list[str], hardware: str = "cpu"
) -> Technique:
    """The demo size of a technique with one stage, trained on a folder, or as an earlier start has left it.

    Args:
        name: of the technique.
        folder: with the training images.
        output: where the checkpoint lies.
        scale: of the stage.
        overrides: config overrides of the training.
        own: the benchmark's, of training and loading.
        hardware: that trains.
    """
    settings = [*settings_of(name, folder, output, scale, hardware), *own]
    if not (output / f"checkpoints/{name}/folder/last.ckpt").is_file():
        train(composed("train", [*settings, *overrides]))
    cfg = composed("eval", settings)
    return load_technique(cfg, describe_technique(cfg)).eval()


def settings_of(name: str, folder: Path, output: Path, scale: int, hardware: str) -> list[str]:
    """Config overrides for the demo size of a technique with one stage, see :func:`trained`."""
    return [
        f"technique={name}", "size=demo", f"technique.stages=[{scale}]", f"scale={scale}", "dataset=more/folder",
        f"dataset.path={folder}", f"output_root={output}", f"hardware={hardware}", "logger=csv",
    ]  # fmt: skip


def composed(job: str, overrides: list[str]) -> DictConfig:
    """``conf/train.yaml`` or ``conf/eval.yaml`` with overrides."""
    conf = Path(__file__).resolve().parents[1] / "conf"
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose(job, overrides)


def test_images(folder: Path, count: int, side: int) -> Tensor:
    """Centre crops of images evenly spaced in a folder's order, (N, 3, side, side)."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    images = []
    for n in range(count):
        picture = np.asarray(Image.open(files[n * len(files) // count]).convert("RGB"))
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        if min(top, left) < 0:
            raise SystemExit(f"{files[n * len(files) // count]} has a side below {side} pixels: give a smaller --side.")
        images.append(torch.from_numpy(picture[top : top + side, left : left + side].copy()).permute(2, 0, 1))
    return torch.stack(images).float() / 255


def distance(estimated: Tensor, truth: Tensor) -> Tensor:
    """Frobenius distance of covariances (N, 2, 2), in HR pixels squared."""
    return (estimated.double() - truth).square().sum((1, 2)).sqrt()
