"""Where mixed precision ends: losses, images and scores are in 32 bits at least."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_single(x: Tensor) -> Tensor:
    """``x`` in 32-bit floats; 64-bit ones stay what they are, so that a training in 64 bits is one throughout.

    >>> at_least_single(torch.zeros(1, dtype=torch.bfloat16)).dtype, at_least_single(torch.zeros(1).double()).dtype
    (torch.float32, torch.float64)
    """
    return x if x.dtype == torch.float64 else x.float()
