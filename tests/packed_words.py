"""Packed words as the compiled loops make them, written out with PyTorch's bfloat16, for tests."""

from __future__ import annotations

import torch
from torch import Tensor


def pack(values: Tensor) -> Tensor:
    """Values (..., C) as words (..., 2, C/2), the high and low parts of channels n and C/2 + n in word n."""
    high = values.bfloat16()
    parts = torch.stack((high, (values - high.float()).bfloat16()), -2)
    return parts.unflatten(-1, (2, -1)).transpose(-1, -2).contiguous().view(torch.int32).squeeze(-1)


def unpack(words: Tensor) -> Tensor:
    """The values (..., C) of words (..., 2, C/2)."""
    parts = words.unsqueeze(-1).view(torch.bfloat16).float().transpose(-1, -2).flatten(-2)
    return parts[..., 0, :] + parts[..., 1, :]
