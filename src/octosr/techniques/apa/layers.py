"""What generator and discriminator share: equalised learning rates, the activation, and which precision a layer has.

T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, and "Training Generative
Adversarial Networks with Limited Data", NeurIPS 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.techniques.apa.activation import GAIN, leaky_clamp


class EqualLinear(nn.Module):
    """A linear layer whose weights are stored with unit variance and scaled when they are used.

    Adam's steps do not depend on the scale of a weight's gradient, so this makes every layer learn equally fast
    (Karras et al., "Progressive Growing of GANs", ICLR 2018, section 4.1).

    Args:
        inputs: length of the input.
        outputs: length of the output.
        bias: what the biases begin with.
        activate: follow it by the leaky ReLU and its gain.
        rate: factor on the learning rate of this layer.
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0.0, activate: bool = False, rate: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.activate, self.rate = activate, rate

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs), in the precision of the weights."""
        gain = GAIN if self.activate else 1.0  # the leaky ReLU scales with its argument, so the gain may go before it
        weight = self.weight * (self.rate * gain / math.sqrt(self.weight.shape[1]))
        out = F.linear(x, weight, self.bias * (self.rate * gain))
        return leaky_clamp(out, None) if self.activate else out


@contextmanager
def precisions(device: torch.device, full: torch.dtype) -> Iterator[torch.dtype]:
    """Switch autocast off inside, since the networks choose precisions themselves; gives the one for large maps.

    Args:
        device: where the network is.
        full: the precision of its weights, and that of large maps where autocast is not on.
    """
    kind = device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        yield full
        return
    low = torch.get_autocast_dtype(kind)
    with torch.autocast(kind, enabled=False):
        yield low


def low_precision_from(resolution: int) -> int:
    """The side from which feature maps are held in low precision: the four highest resolutions, never below 8.

    >>> [low_precision_from(side) for side in (1024, 256, 32)]
    [128, 32, 8]
    """
    return max(resolution // 8, 8)


def channels(side: int, width: float) -> int:
    """Feature maps of a resolution: 32768 * width / side, at most 512.

    >>> [channels(side, 1.0) for side in (4, 64, 128, 1024)]
    [512, 512, 256, 32]
    """
    return max(min(int(width * 32768) // side, 512), 1)


def sides(resolution: int) -> list[int]:
    """The sides of the feature maps, from 4 to ``resolution``, a power of two.

    >>> sides(32)
    [4, 8, 16, 32]
    """
    return [2**power for power in range(2, resolution.bit_length())]
