"""Time the exact forms of FastGAN's enlarging convolution, layer by layer, forward and backward.

    python benchmarks/fastgan_layers.py

``plain`` enlarges and convolves, ``folded`` is a transposed convolution, ``differences`` is
``octosr.techniques.fastgan.enlarging``, whose ``worthwhile`` goes by what this shows. The forms take turns; medians of
processor time (``--wall``: of the clock).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from layer_timing import arguments, take_turns
from torch import Tensor

from octosr.techniques.fastgan.enlarging import doubling_conv
from octosr.techniques.fastgan.layers import fold

LAYERS = ((1024, 1024, 4), (512, 512, 8), (256, 256, 16), (128, 256, 32), (128, 128, 64), (64, 64, 128), (32, 32, 128))
"""Channels that go in, channels that come out, side before: those of the generator, and one as at 512 pixels."""


def plain(x: Tensor, weight: Tensor) -> Tensor:
    """Enlarge, then convolve."""
    return F.conv2d(F.interpolate(x, scale_factor=2.0), weight, padding=1)


def folded(x: Tensor, weight: Tensor) -> Tensor:
    """One transposed convolution."""
    return F.conv_transpose2d(x, fold(weight), stride=2, padding=1)


def main() -> None:
    """Print a line a layer and memory layout."""
    args = arguments(__doc__, batch=4).parse_args()
    forms = {"plain": plain, "folded": folded, "differences": doubling_conv}
    for inputs, outputs, side in LAYERS:
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(args.batch, inputs, side, side).to(memory_format=layout).requires_grad_()
            weight = torch.randn(outputs, inputs, 3, 3).requires_grad_()
            found = take_turns(forms, x, weight, args)
            times = ", ".join(f"{name} {1e3 * seconds:.0f} ms" for name, seconds in found.items())
            print(f"{inputs} -> {outputs}, {side} px, {str(layout).removeprefix('torch.')}: {times}", flush=True)


if __name__ == "__main__":
    main()
