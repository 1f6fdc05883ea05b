"""What every metric does before and around its computation: refuse wrong images, put hardware settings aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from octosr.cores import map_on_cores
from octosr.errors import OctoSRError

RANGE_TOLERANCE = 1e-6
PART = 1 << 21
"""Values that a core looks through at once."""


class UnscorableImageError(OctoSRError, ValueError):
    """Images that a metric has no value for: wrong shape or range, too small, nothing to measure in them.

    Args:
        message: what is wrong, with the offending numbers.
        positions: the positions in the batch of the images concerned.
    """

    def __init__(self, message: str, positions: Sequence[int]) -> None:
        super().__init__(message)
        self.message = message
        self.positions = tuple(positions)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.positions)


def check_images(images: Tensor, what: str) -> None:
    """Refuse anything but a batch of float RGB images in [0, 1].

    Args:
        images: meant to be float32 or float64, (B, 3, H, W), B >= 1.
        what: who asks, for the message.

    Raises:
        UnscorableImageError: quotes the shape, the type or the range found.
    """
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise UnscorableImageError(
            f"{what}: expected RGB images of shape (B, 3, H, W), but the shape is {tuple(images.shape)}.",
            range(images.shape[0] if images.ndim == 4 else 0),
        )
    if images.dtype not in (torch.float32, torch.float64):
        raise UnscorableImageError(
            f"{what}: expected float32 images in [0, 1], but they are {images.dtype}.", range(len(images))
        )
    # Of all images at once, since that of each is many times slower, and in the order of memory, as is that of others.
    in_order = sorted(range(images.ndim), key=images.stride, reverse=True)
    values = images.detach().permute(in_order).flatten()
    parts = values.split(PART if images.device.type == "cpu" else len(values))
    if all(map_on_cores(_in_range, parts, images.device)):
        return
    low, high = images.detach().flatten(1).aminmax(dim=1)
    bad = torch.nonzero(~((low >= -RANGE_TOLERANCE) & (high <= 1 + RANGE_TOLERANCE))).flatten().tolist()
    if bad:
        i = bad[0]
        raise UnscorableImageError(
            f"{what}: expected values in [0, 1], but image {i} of the batch has values from {float(low[i]):.4g} "
            f"to {float(high[i]):.4g}. Clamp the images, or divide 8-bit values by 255.",
            bad,
        )


def _in_range(values: Tensor) -> bool:
    """Whether all are in [0, 1] but for the tolerance."""
    if values.device.type == "cpu":
        # The bits of floats from 0 on are whole numbers that grow with them, and those of all others (NaN, -0) are
        # larger. So one maximum says what takes two and a look for NaN otherwise: half the time.
        one = np.array(1, values.numpy().dtype)
        if values.numpy().view(f"u{one.itemsize}").max() <= one.view(f"u{one.itemsize}"):
            return True
    low, high = values.aminmax()
    return bool(low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE)


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """No gradients, no autocast, no TF32 or bfloat16 inside float32, deterministic cuDNN.

    A score must not depend on the hardware settings of the run around it.
    """
    settings = _precision_settings()
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in settings]
    try:
        for owner, name, value in settings:
            setattr(owner, name, value)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _precision_settings() -> list[tuple[Any, str, Any]]:
    """(owner, attribute, exact value) of each global setting that changes float32 results."""
    backends: Any = torch.backends
    settings = [(backends.cudnn, "benchmark", False), (backends.cudnn, "deterministic", True)]
    if hasattr(
        backends.cuda.matmul, "fp32_precision"
    ):  # torch 2.9; asking the older switches raises where these were used
        owners = (
            backends.cuda.matmul,
            backends.mkldnn.matmul,
            backends.cudnn.conv,
            backends.cudnn.rnn,
            backends.mkldnn.conv,
        )
        return settings + [(owner, "fp32_precision", "ieee") for owner in owners]
    return [*settings, (backends.cuda.matmul, "allow_tf32", False), (backends.cudnn, "allow_tf32", False)]
