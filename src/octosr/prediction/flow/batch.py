"""Several images of one size through a technique, and its results to the main memory without waiting for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from octosr.data.encode import refuse_not_finite, to_uint8_unwaited
from octosr.prediction.flow.writing import Writing
from octosr.prediction.picture import Picture, Pixels, PlaneSource
from octosr.prediction.tiling import Report
from octosr.prediction.tiling.symmetry import ALL
from octosr.prediction.tiling.whole import enlarge_whole
from octosr.techniques.base import SingleImageTechnique


class Batch:
    """Images that have been enlarged, or are about to be: on a GPU this returns before they are.

    8-bit results are rounded on the GPU, so that a quarter of the bytes crosses over.

    Args:
        technique: on the device to use.
        pictures: of one size.
        writings: their results.
        self_ensemble: see :class:`~octosr.prediction.enlarge.Settings`.
    """

    def __init__(
        self,
        technique: SingleImageTechnique,
        pictures: Sequence[Picture],
        writings: Sequence[Writing],
        self_ensemble: bool,
    ) -> None:
        self.writings = list(writings)
        self._start = time.perf_counter()
        height, width = pictures[0].size
        lr = torch.stack([PlaneSource(picture.colours).read(0, height, 0, width) for picture in pictures])
        self._on_gpu = technique.device.type == "cuda"
        if self._on_gpu:
            lr = lr.pin_memory()
        lr = lr.to(technique.device, non_blocking=self._on_gpu)
        images = enlarge_whole(technique, lr, ALL if self_ensemble else ALL[:1])
        self._found = [self._fetch(image, one) for image, one in zip(images, self.writings, strict=True)]
        self._arrived: torch.cuda.Event | None = None
        if self._on_gpu:
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def hand_over(self) -> None:
        """Wait until the images are here, and have them encoded."""
        if self._arrived is not None:
            self._arrived.synchronize()
        report = Report(None, 1, 0, time.perf_counter() - self._start)
        for writing, (values, bad) in zip(self.writings, self._found, strict=True):
            writing.put(partial(_bands, writing, values, bad), values.nbytes)
            writing.finish(report, len(self.writings))

    def _fetch(self, image: Tensor, writing: Writing) -> tuple[Tensor, Tensor | None]:
        if not self._on_gpu:
            return image.cpu(), None
        encoder = writing.encoder
        if encoder.bits != 8:
            return _copied(image), None
        samples, bad = to_uint8_unwaited(encoder.colours(image))
        return _copied(samples), _copied(bad)


def _copied(values: Tensor) -> Tensor:
    """A copy in main memory, which is complete once the device has come so far."""
    return torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)


def _bands(writing: Writing, values: Tensor, bad: Tensor | None) -> list[Pixels]:
    if bad is None:
        return [writing.encoder.encode(values)]
    refuse_not_finite(int(bad), values.numel())
    return [writing.encoder.join(values)]
