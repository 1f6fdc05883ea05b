"""Time the exact forms of the resampling convolutions of StyleGAN2, layer by layer, forward and backward.

    python benchmarks/apa_layers.py

``octosr.techniques.apa.resample.form_for`` chooses between them by what this shows. The forms take turns; medians of
processor time (``--wall``: of the clock).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

import torch
from layer_timing import arguments, take_turns
from torch import Tensor

from octosr.techniques.apa.layers import channels
from octosr.techniques.apa.resample import Form, conv_down, conv_up


def down(x: Tensor, weight: Tensor, form: Form) -> Tensor:
    """A convolution that halves, without bias."""
    return conv_down(x, weight, None, form)


def main() -> None:
    """Print a line a layer."""
    parser = arguments(__doc__)
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64, 128, 256])
    args = parser.parse_args()
    forms: tuple[Form, ...] = get_args(Form)
    for side in args.sides:
        small, large = channels(side // 2, args.width), channels(side, args.width)
        cases: dict[str, tuple[Callable[..., Tensor], Tensor, Tensor]] = {
            f"up {small} -> {large}": (
                conv_up, torch.randn(args.batch, small, side // 2, side // 2), torch.randn(large, small, 3, 3)
            ),
            f"down {large} -> {small}": (
                down, torch.randn(args.batch, large, side, side), torch.randn(small, large, 3, 3)
            ),
        }  # fmt: skip
        for name, (function, x, weight) in cases.items():
            x, weight = (value.to(memory_format=torch.channels_last).requires_grad_() for value in (x, weight))
            found = take_turns({form: partial(function, form=form) for form in forms}, x, weight, args)
            print(f"{side} px, {name}: " + ", ".join(f"{form} {found[form]:.3f} s" for form in forms), flush=True)


if __name__ == "__main__":
    main()
