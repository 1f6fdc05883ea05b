"""Rounding to 8 bits in the middle of a computation; files are written by ``octosr.data.encode``."""

from __future__ import annotations

from torch import Tensor


def quantise(images: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to multiples of 1/255, as an 8-bit file does.

    >>> import torch
    >>> (quantise(torch.tensor([-0.1, 0.5, 2.0])) * 255).tolist()
    [0.0, 128.0, 255.0]
    """
    return images.clamp(0, 1).mul(255).round().div(255)
