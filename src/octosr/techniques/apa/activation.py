"""The activation after every convolution, in place and with its own derivative.

On feature maps of 256 x 256 pixels and more, scaling, noise, bias, leaky ReLU, gain and clamp are six passes over
memory and six arrays kept for the backward pass. Here they work in the convolution's own output, and the backward pass
needs that output alone, since a leaky ReLU can be undone. The derivatives are made of differentiable operations, so
that the gradient penalties may differentiate them again. Where a compiler looks on it gets the plain operations, which
it fuses itself.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SLOPE = 0.2
"""Slope of every leaky ReLU."""
GAIN = math.sqrt(2)
"""Factor behind it, which keeps the variance of what goes through."""
CLAMP = 256.0
"""Bound of every convolution's output; in 16-bit floats it prevents overflow, in 32-bit floats it never acts."""


def leaky_clamp(x: Tensor, bound: float | None) -> Tensor:
    """Leaky ReLU, then clamp to +-``bound``; may overwrite ``x``, which nothing else may need.

    >>> leaky_clamp(torch.tensor([-10.0, 2.0, 500.0]), 256.0)
    tensor([ -2.,   2., 256.])
    """
    if torch.compiler.is_compiling():
        x = F.leaky_relu(x, SLOPE)
        return x if bound is None else x.clamp(-bound, bound)
    out: Tensor = _LeakyClamp.apply(x, bound)
    return out


def finish(x: Tensor, scale: Tensor, noise: Tensor, strength: Tensor, bias: Tensor, bound: float | None) -> Tensor:
    """What follows a modulated convolution: ``clamp(GAIN * leaky(x * scale + noise * strength + bias))``.

    Args:
        x: the convolution's output, (N, C, H, W); may be overwritten.
        scale: the demodulation, (N, C).
        noise: (N, 1, H, W) or (1, 1, H, W).
        strength: of the noise, ().
        bias: (C,).
        bound: of the clamp.
    """
    scale, bias = scale[:, :, None, None], bias[None, :, None, None]
    if torch.compiler.is_compiling():
        return leaky_clamp((x * scale + noise * strength + bias) * GAIN, bound)
    out: Tensor = _Finish.apply(x, scale * GAIN, noise, strength * GAIN, bias * GAIN, bound)
    return out


def _within(gradient: Tensor, out: Tensor, bound: float | None) -> Tensor:
    """The gradient before the clamp: nothing where its result ``out`` is at the bound."""
    return gradient if bound is None else torch.ops.aten.hardtanh_backward(gradient, out, -bound, bound)


class _LeakyClamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float | None) -> Tensor:
        F.leaky_relu_(x, SLOPE)
        if bound is not None:
            x.clamp_(-bound, bound)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        kept = _within(gradients[0], out, ctx.bound)
        return torch.ops.aten.leaky_relu_backward(kept, out, SLOPE, True), None  # out has the sign of x


class _Finish(torch.autograd.Function):
    """All arguments of :func:`finish` with the gain multiplied in; ``scale`` (N, C, 1, 1), ``bias`` (1, C, 1, 1)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, noise: Tensor, strength: Tensor, bias: Tensor, bound: float | None
    ) -> Tensor:
        torch.addcmul(bias, x, scale, out=x)
        x.addcmul_(noise, strength)
        F.leaky_relu_(x, SLOPE)
        if bound is not None:
            x.clamp_(-bound, bound)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x, scale, noise, strength, bias)
        ctx.bound = bound
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        out, scale, noise, strength, bias = ctx.saved_tensors
        kept = _within(gradients[0], out, ctx.bound)
        slopes = torch.ops.aten.leaky_relu_backward(kept, out, SLOPE, True)
        # One product of matrices sums over the pixels, with and without the noise: (N, C, 2).
        rows = torch.cat((torch.ones_like(noise), noise), 1).flatten(2).expand(len(out), -1, -1)
        with_one, with_noise = (slopes.flatten(2) @ rows.mT).unbind(2)
        of_scale = None
        if ctx.needs_input_grad[1]:
            # Before the activation there was x * scale + noise * strength + bias, and slopes times that is kept * out,
            # so the gradient of the scale, the sum of slopes * x over the pixels, needs no array but out.
            of_scale = (kept * out).sum((2, 3)) - with_noise * strength - with_one * bias.flatten()
            of_scale = of_scale[:, :, None, None] / scale
        return slopes * scale, of_scale, None, with_noise.sum(), with_one.sum(0).view(1, -1, 1, 1), None
