"""Comparison of a function with its plain form, gradients included."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def same_with_gradients(
    found: Tensor, expected: Tensor, inputs: Sequence[Tensor], *, value: float, slope: float
) -> None:
    """Compare two results, and what a random gradient of them makes of each of the inputs.

    Args:
        found: of the inputs.
        expected: of the same.
        inputs: with gradients.
        value: the largest difference of the results.
        slope: of the gradients.
    """
    torch.testing.assert_close(found, expected, rtol=value, atol=value)
    gradient = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(y, tuple(inputs), gradient) for y in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=slope, atol=slope)
