"""The real network on a real photograph: in tiles as a whole."""

from __future__ import annotations

import pytest
import torch

from octosr.data.encode import to_uint8
from octosr.data.photographs import PHOTOGRAPHS, load_photograph
from octosr.prediction.tiling import ArraySource, ListSink, upscale
from octosr.techniques.realesrgan.module import RealESRGAN


@pytest.mark.slow
def test_tiles_are_the_whole_image_to_the_last_bit_but_one() -> None:
    technique = RealESRGAN()
    technique.load_weights(RealESRGAN.own_weights({"variant": "x4plus"}))
    lr = torch.from_numpy(load_photograph(PHOTOGRAPHS[0])[100:141, 100:171]).permute(2, 0, 1) / 255
    whole = technique.super_resolve(lr[None])[0]
    assert whole.std() > 0.05
    sink = ListSink()
    report = upscale(technique, ArraySource(lr), sink, tile=36)
    assert (report.tile, report.tiles, report.bound) == (36, 4, 0)
    assert (sink.image() - whole).abs().max() < 1e-5
    assert (to_uint8(sink.image()).int() - to_uint8(whole).int()).abs().max() <= 1
