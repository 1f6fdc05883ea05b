"""Exponential moving averages of weights, as generators are evaluated with."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def average_weights(average: nn.Module, source: nn.Module, decay: float, copy_buffers: bool = True) -> None:
    """One update of an exponential moving average: ``average = decay * average + (1 - decay) * source``.

    Args:
        average: changed in place.
        source: a module of the same layout.
        decay: in [0, 1]; 0 copies.
        copy_buffers: copy the buffers; otherwise they are left alone.

    >>> a, b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(a.weight, 1.0), nn.init.constant_(b.weight, 2.0)
    >>> average_weights(a, b, 0.75)
    >>> a.weight.item()
    1.25
    """
    torch._foreach_lerp_(list(average.parameters()), list(source.parameters()), 1 - decay)
    if copy_buffers:
        for old, new in zip(average.buffers(), source.buffers(), strict=True):
            old.copy_(new)
