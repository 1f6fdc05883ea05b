"""CUDA graphs: a network's passes recorded once and replayed by one launch each.

A deep network of small layers keeps a fast GPU waiting, as the CPU needs longer to launch its thousands of kernels than
the GPU to run them. Replaying computes the same numbers in the same order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Passes = Callable[[Tensor], tuple[Tensor, ...]]


class RecordedPasses:
    """Forward and backward pass of a function of one batch, recorded for each size it is given.

    What a call returns is overwritten by the next call, as is the gradient of each parameter: use both before that, and
    do not add up gradients over several calls.

    Args:
        network: whose parameters get gradients; kept in training mode or not as it is at the first call.
        passes: calls it on (B, ...) and returns tensors.
    """

    def __init__(self, network: nn.Module, passes: Passes) -> None:
        self._network, self._passes = network, passes
        self._recorded: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """What ``passes`` returns."""
        mixed = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None
        key = (batch.shape, batch.dtype, batch.device, mixed)
        if key not in self._recorded:
            _accept_another_stream()
            # Weights cast to 16 bits must be cast anew in every replay, so none may come from autocast's cache.
            with torch.autocast("cuda", dtype=mixed, cache_enabled=False) if mixed else contextlib.nullcontext():
                wrapped = _Wrapped(self._network, self._passes)
                self._recorded[key] = torch.cuda.make_graphed_callables(
                    wrapped, (batch.detach().clone(),), allow_unused_input=True
                )
        found: tuple[Tensor, ...] = self._recorded[key](batch)
        return found


def _accept_another_stream() -> None:
    """torch 2.11 warns that gradients come from the stream of the recording, which costs a wait and changes nothing."""
    accept = getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None)
    if accept is not None:
        accept(False)


class _Wrapped(nn.Module):
    """A module of its own, since recording changes the ``forward`` of the one it is given."""

    def __init__(self, network: nn.Module, passes: Passes) -> None:
        super().__init__()
        self.network, self._passes = network, passes

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        """See :class:`RecordedPasses`."""
        return self._passes(batch)
