"""Time :func:`octosr.nn.convolution.conv3x3` against PyTorch's convolution, layer by layer, forward and backward.

    python benchmarks/convolution.py

``octosr.nn.convolution.worthwhile`` goes by what this shows. Both take turns; medians of processor time (``--wall``: of
the clock).
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from layer_timing import arguments, take_turns

from octosr.nn.convolution import conv3x3


def main() -> None:
    """Print a line a layer and memory layout."""
    args = arguments(__doc__).parse_args()
    forms = {"torch": partial(F.conv2d, padding=1), "ours": conv3x3}
    narrow = [(32, 64), (64, 256), (64, 64), (64, 16)]
    wide = [(128, 128), (128, 32), (256, 64), (256, 16), (512, 32), (512, 16)]
    for channels, side in narrow + wide:
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(args.batch, channels, side, side).to(memory_format=layout).requires_grad_()
            weight = torch.randn(channels, channels, 3, 3).requires_grad_()
            found = take_turns(forms, x, weight, args)
            name = str(layout).removeprefix("torch.")
            print(
                f"{channels:4} channels, {side:3} px, {name:17} {1e3 * found['torch']:5.0f} ms, "
                f"ours {found['torch'] / found['ours']:.2f}x", flush=True
            )  # fmt: skip


if __name__ == "__main__":
    main()
