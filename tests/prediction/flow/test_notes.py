"""What is said of an image beside its result."""

from __future__ import annotations

import json

import torch
from torch import Tensor

from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.interpolation import Interpolation


class Unknown(SingleImageTechnique):
    """A network of which nothing is known."""

    def super_resolve(self, lr: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(lr, scale_factor=2)


def test_blended_tiles_are_said(flow) -> None:
    flow.picture("large.png", 90, 70, 3)
    flow.picture("small.png", 60, 60, 3)

    def notes(technique: SingleImageTechnique) -> dict[str, list[str]]:
        flow.run(technique, technique.name, tile=64)
        lines = (flow.output / "provenance.jsonl").read_text().splitlines()
        return {one["output"]: one["notes"] for one in map(json.loads, lines) if "notes" in one}

    found = notes(Unknown("mine", (2,)))
    assert found.pop("small.png") == []
    (note,) = found["large.png"]
    assert note.startswith("cut into tiles of 64 LR pixels that fade into each other: near what the whole image")
    assert notes(Interpolation("bicubic", "bicubic", 2)) == {"large.png": [], "small.png": []}
