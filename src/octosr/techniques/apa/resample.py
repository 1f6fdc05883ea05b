"""Resampling by two with StyleGAN2's low-pass filter [1, 3, 3, 1], and the convolutions that it is part of.

Each has several exact forms, equal up to rounding, of which the fastest depends on the machine:

- image up: zeros put in between and a 4x4 filter; or bilinear interpolation, which is the same filter away from the
  edges, of the image with a rim of zeros;
- image down: a strided 4x4 convolution of each channel by itself;
- convolution up: ``plain``, a transposed 3x3 convolution and then the filter; or ``merged``, both in one 6x6 transposed
  convolution; or ``phases``, that as a 3x3 convolution to four times the channels, one for each of the four pixels that
  come out for one, and a shuffle;
- convolution down: ``plain``, the filter and then a strided 3x3 convolution; or ``merged``, both in one strided 6x6
  convolution; or ``phases``, a shuffle of 2x2 pixels into channels and a 3x3 convolution.

``plain`` has 9 products an input pixel, the others 36, but makes no array of the larger size in between. On CPUs, where
arithmetic is what costs, ``plain`` is the fastest throughout (``benchmarks/apa_layers.py``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Form = Literal["plain", "merged", "phases"]


def _make(dtype: torch.dtype, device: torch.device) -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
    return (taps[:, None] * taps / 64).to(device, dtype)[None, None]


@lru_cache(maxsize=16)
def _kept(dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # a tensor of inference mode could not serve training later
        return _make(dtype, device)


def low_pass(like: Tensor) -> Tensor:
    """The filter, (1, 1, 4, 4), sum 1, in the precision and on the device of ``like``.

    Kept, since copying it to a GPU would wait for the GPU every time; a compiler makes it a constant by itself.
    """
    return (_make if torch.compiler.is_compiling() else _kept)(like.dtype, like.device)


def image_up(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W).

    >>> image_up(torch.ones(1, 1, 2, 2))[0, 0, 1]
    tensor([0.7500, 1.0000, 1.0000, 0.7500])
    """
    return F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2.0, mode="bilinear", align_corners=False)[
        ..., 2:-2, 2:-2
    ]


def image_down(x: Tensor) -> Tensor:
    """(N, C, 2H, 2W) -> (N, C, H, W)."""
    count = x.shape[1]
    return F.conv2d(x, low_pass(x).expand(count, -1, -1, -1), stride=2, padding=1, groups=count)


def conv_up(x: Tensor, weight: Tensor, form: Form = "plain") -> Tensor:
    """Enlarge by two and convolve, (N, I, H, W) -> (N, O, 2H, 2W).

    Args:
        x: feature maps.
        weight: (O, I, 3, 3).
        form: see above.
    """
    if form == "plain":
        out = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        count = out.shape[1]
        return F.conv2d(out, (4 * low_pass(x)).expand(count, -1, -1, -1), padding=1, groups=count)
    six = 4 * _with_low_pass(weight)
    if form == "merged":
        return F.conv_transpose2d(x, six.transpose(0, 1), stride=2, padding=2)
    outputs, inputs = weight.shape[:2]
    # Tap 2t + a of the transposed convolution reaches the output pixel of parity a; a convolution runs the other way.
    parts = six.view(outputs, inputs, 3, 2, 3, 2).flip(2, 4).permute(0, 3, 5, 1, 2, 4)
    return F.pixel_shuffle(F.conv2d(x, parts.reshape(outputs * 4, inputs, 3, 3), padding=1), 2)


def conv_down(x: Tensor, weight: Tensor, bias: Tensor | None = None, form: Form = "plain") -> Tensor:
    """Convolve and reduce by two, (N, I, 2H, 2W) -> (N, O, H, W); arguments as for :func:`conv_up`."""
    if form == "plain":
        count = x.shape[1]
        smooth = F.conv2d(x, low_pass(x).expand(count, -1, -1, -1), padding=2, groups=count)
        return F.conv2d(smooth, weight, bias, stride=2)
    six = _with_low_pass(weight)
    if form == "merged":
        return F.conv2d(x, six, bias, stride=2, padding=2)
    outputs, inputs = weight.shape[:2]
    parts = six.view(outputs, inputs, 3, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(outputs, inputs * 4, 3, 3)
    return F.conv2d(F.pixel_unshuffle(x, 2), parts, bias, padding=1)


def _with_low_pass(weight: Tensor) -> Tensor:
    """The 6x6 kernels of filter and 3x3 convolution in one."""
    outputs, inputs = weight.shape[:2]
    six = F.conv2d(weight.reshape(-1, 1, 3, 3), low_pass(weight), padding=3)
    return six.view(outputs, inputs, 6, 6)


def form_for(x: Tensor) -> Form:
    """The form for these feature maps: ``plain`` on CPUs; elsewhere ``phases`` where maps are large and few.

    There the memory's speed decides, and the three other products a pixel are free (an estimate of ours: 128 channels
    and 128 pixels a side; no GPU was at hand to measure it).
    """
    large_and_few = x.shape[1] <= 128 and x.shape[-1] >= 128
    return "phases" if x.device.type != "cpu" and large_and_few else "plain"
