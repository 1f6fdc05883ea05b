"""The modulated convolution of StyleGAN2: a style scales the input channels; what that does to the variance is undone.

Karras et al., CVPR 2020, equations 1 and 3. With w' = s_i * w the sum over input channels may as well take scaled
inputs, and the demodulation is one factor an output channel, so no weights are made for each image:

    conv(x, d_o * s_i * w_oik) = d_o * conv(s_i * x, w_oik),   d_o = 1 / sqrt(sum_i s_i^2 sum_k w_oik^2 + 1e-8).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.nn.convolution import conv3x3, worthwhile
from octosr.techniques.apa.resample import conv_up, form_for

EPSILON = 1e-8


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """The factors d, (N, O), of weights (O, I, k, k) and styles (N, I): a small product of matrices."""
    return (styles.square() @ weight.square().sum((2, 3)).T + EPSILON).rsqrt()


def modulated_conv(
    x: Tensor, weight: Tensor, styles: Tensor, *, up: bool = False, once: bool = False
) -> tuple[Tensor, Tensor]:
    """A convolution of scaled inputs with shared weights, and the factors that are still to be multiplied.

    Args:
        x: feature maps (N, I, H, W), perhaps of low precision.
        weight: (O, I, 3, 3), in full precision.
        styles: (N, I), in full precision.
        up: enlarge by two first.
        once: no second derivatives are wanted, so that a faster convolution may be used.

    Returns:
        (N, O, H, W), or twice the sides with ``up``, in the precision of x; and the demodulation (N, O) in that of
        the styles.
    """
    if x.dtype == torch.float16:
        # Demodulation cancels any factor on the weights of an output and on the styles of an image; these keep the sums
        # within the range of float16.
        weight = weight / (weight.abs().amax((1, 2, 3), keepdim=True) * weight[0].numel() ** 0.5)
        styles = styles / styles.abs().amax(1, keepdim=True)
    scale = demodulation(weight, styles)
    x = x * styles[:, :, None, None].to(x.dtype)
    weight = weight.to(x.dtype)
    if up:
        return conv_up(x, weight, form_for(x)), scale
    return conv3x3(x, weight) if once and worthwhile(x, len(weight)) else F.conv2d(x, weight, padding=1), scale


def modulated_rgb(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """The 1x1 convolution to colours, not demodulated: its few weights are made for each image instead of scaling x.

    Args:
        x: feature maps (N, I, H, W).
        weight: (3, I).
        styles: (N, I), with the weights' gain.

    Returns:
        (N, 3, H, W) in the precision of x.
    """
    weights = (weight * styles[:, None, :]).to(x.dtype)
    # Rows are pixels where the channels of a pixel are neighbours in memory.
    if x.is_contiguous(memory_format=torch.channels_last) and x.shape[1] > 1:
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
        return (pixels @ weights.mT).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
    return (weights @ x.flatten(2)).unflatten(2, x.shape[2:])
