"""What a person is told of an image that was enlarged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from octosr.prediction.enlarge import Settings, enlarge
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.interpolation import Interpolation


class Unknown(SingleImageTechnique):
    """A network of which nothing is known."""

    def super_resolve(self, lr: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(lr, scale_factor=2)


def notes(technique: SingleImageTechnique, path: Path) -> list[str]:
    temporary = path.with_suffix(f".{technique.name}")
    return enlarge(path, temporary, path.with_suffix(".png"), technique, Settings(tile=64)).notes


def test_blended_tiles_are_said(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.bmp")
    (note,) = notes(Unknown("mine", (2,)), tmp_path / "a.bmp")
    assert note.startswith("cut into tiles of 64 LR pixels that fade into each other: near what the whole image")
    assert notes(Interpolation("bicubic", "bicubic", 2), tmp_path / "a.bmp") == []
    Image.fromarray(pixels[:60, :60]).save(tmp_path / "small.bmp")
    assert notes(Unknown("mine", (2,)), tmp_path / "small.bmp") == []
