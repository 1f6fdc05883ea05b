"""Luma, its half-size version, and mean-subtracted contrast-normalised (MSCN) coefficients, with tensors.

This is how accelerators compute them. CPUs have loops of their own (``loops``) for the same operations.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from octosr.metrics.niqe_engine.filters import HALF_TAPS, RADIUS, filtered, gaussian_taps
from octosr.metrics.niqe_engine.variants import Variant

_YIQ = (0.299, 0.587, 0.114)
_YCBCR = (65.481, 128.553, 24.966)
_PILLOW_L = (19595 / 2**16, 38470 / 2**16, 7471 / 2**16)


def luma(images: Tensor, color_space: str, variant: Variant) -> Tensor:
    """Luma of 0 to 255 on whole numbers.

    The sums are rounded as each implementation rounds them: a value such as 17.5 is common (a thousandth of all pixels
    of 8-bit images), and which way it goes depends on the last bit.

    Args:
        images: float32 RGB in [0, 1], (B, 3, H, W).
        color_space: ``yiq`` (0.299 R + 0.587 G + 0.114 B, see :func:`fused_products`), ``ycbcr`` (limited range, 16 to
            235, as MATLAB), or ``pillow_l`` (as yiq, of 8-bit images, by Pillow's integer arithmetic).
        variant: whose rounding.

    Returns:
        float32, (B, H+6, W+6): with a border of three pixels, see :func:`bordered`.
    """
    height, width = images.shape[-2:]
    bordered = images.new_empty(len(images), height + 2 * RADIUS, width + 2 * RADIUS)
    bordered[:, RADIUS:-RADIUS, RADIUS:-RADIUS] = _luma(images, color_space, variant)
    set_border_(bordered, variant)
    return bordered


def _luma(images: Tensor, color_space: str, variant: Variant) -> Tensor:
    if color_space == "pillow_l":
        # Products of whole numbers and n/2^16: float32 holds them, and their sums in any order, exactly.
        red, green, blue = (images * 255).round_().unbind(1)
        return _weighted(red, green, blue, _PILLOW_L).add_(0.5).floor_()
    red, green, blue = images.unbind(1)
    if color_space == "yiq":
        return _weighted(red, green, blue, _YIQ, fused_products()).mul_(255).round_()
    if variant.name == "niqe_basicsr":
        total = _weighted(red.double(), green.double(), blue.double(), _YCBCR)
        return ((total + 16) / 255).float().mul_(255).round_()
    return _weighted(red, green, blue, _YCBCR).add_(16).div_(255).mul_(255).round_()


def _weighted(red: Tensor, green: Tensor, blue: Tensor, weights: tuple[float, float, float], fused: int = 0) -> Tensor:
    """The weighted sum; in the last ``fused`` of two steps, product and sum are rounded together."""
    total = red * weights[0]
    for channel, weight, together in ((green, weights[1], fused > 1), (blue, weights[2], fused > 0)):
        if together:
            total = (total.double() + channel.double() * torch.tensor(weight).item()).float()
        else:
            total += channel * weight  # not add(alpha=...): that rounds once where the public code rounds twice
    return total


@lru_cache(maxsize=1)
def fused_products() -> int:
    """In how many of the last two steps of a sum of three products this machine's matrix products round once only.

    pyiqa makes its luma by a matrix product on the CPU, and the last bit of it decides where an x.5 goes, which moves a
    score by up to 3e-4 of its value. MKL fuses both steps with AVX-512, as GPUs do, one with AVX2, and none without. So
    pyiqa's scores depend on the machine, and those that equal them have to.
    """
    # Colours with 299 R + 587 G + 114 B = 500 (mod 1000); modulo 500, 193 is the inverse of 57.
    first, second = torch.cartesian_prod(torch.arange(0, 256, 3), torch.arange(0, 256, 3)).unbind(1)
    rest = 500 - 299 * first - 587 * second
    levels = torch.stack([first, second, rest // 2 * 193 % 500], 1)
    colours = levels[(rest % 2 == 0) & (levels[:, 2] < 256)].float() / 255
    matrix = torch.tensor(_YIQ)[:, None].expand(3, 3).contiguous()
    found = (colours @ matrix)[:, 0].mul(255).round()
    red, green, blue = colours.unbind(1)
    ours = [_weighted(red, green, blue, _YIQ, fused).mul(255).round() for fused in range(3)]
    return min(range(3), key=lambda fused: int((ours[fused] != found).sum()))


def halved(image: Tensor, variant: Variant) -> Tensor:
    """Half the size, by the bicubic kernel widened against aliasing.

    All three implementations compute in float32 here. One of a hundred blocks that takes the next shape because of that
    moves a score by up to 1e-4 of its value, so what they round is rounded: ``symmetric`` adds in float32, tap after
    tap, and ``cut`` in float64, rounding the result of each direction.

    Args:
        image: float32 luma of 0 to 255, (B, H, W), sides even.
        variant: ``symmetric`` mirrors the image at its border as MATLAB does; ``cut`` leaves out the taps beyond the
            border and scales up the others as Pillow does.

    Returns:
        (B, H/2, W/2), float64 or, where the variant's maps are, float32.
    """
    if variant.half_size == "symmetric":
        rows = filtered(_mirrored(image / 255, -2), HALF_TAPS, -2, step=2)
        half = filtered(_mirrored(rows, -1), HALF_TAPS, -1, step=2)
        return half.double() * 255 if variant.rounding == "never" else half * 255
    # Whole numbers times n/256: float32 holds these sums exactly, so only the next ones need float64.
    narrow = filtered(pad(image, (3, 3, 3, 3)), HALF_TAPS, -1, step=2)
    _over_inside_(narrow, -1)
    rows = filtered(narrow.double(), HALF_TAPS, -2, step=2)
    _over_inside_(rows, -2)
    return rows.float()


def _mirrored(x: Tensor, dim: int) -> Tensor:
    """Three more on either side, mirrored at the border itself: c b a | a b c ... x y z | z y x."""
    size = x.shape[dim]
    return torch.cat([x.narrow(dim, 0, 3).flip(dim), x, x.narrow(dim, size - 3, 3).flip(dim)], dim)


def _over_inside_(x: Tensor, dim: int) -> None:
    """Divide by the sum of the taps inside the image, which is not 1 at two places from its border."""
    for place, missing in ((0, HALF_TAPS[:3]), (1, HALF_TAPS[:1]), (-2, HALF_TAPS[-1:]), (-1, HALF_TAPS[-3:])):
        x.select(dim, place).div_(1 - sum(missing))


def bordered(image: Tensor, variant: Variant) -> Tensor:
    """Three pixels more on each side, (B, H, W) -> (B, H+6, W+6)."""
    larger = image.new_empty(len(image), *(side + 2 * RADIUS for side in image.shape[-2:]))
    larger[:, RADIUS:-RADIUS, RADIUS:-RADIUS] = image
    set_border_(larger, variant)
    return larger


def set_border_(x: Tensor, variant: Variant) -> None:
    """Fill the outer three pixels of (B, H+6, W+6)."""
    for dim in (-1, -2):
        before, after = x.narrow(dim, 0, RADIUS), x.narrow(dim, x.shape[dim] - RADIUS, RADIUS)
        if variant.padding == "edge":
            before.copy_(x.narrow(dim, RADIUS, 1).expand_as(before))
            after.copy_(x.narrow(dim, x.shape[dim] - RADIUS - 1, 1).expand_as(after))
        else:
            before.zero_()
            after.zero_()


def mscn(strips: Tensor, variant: Variant) -> tuple[Tensor, Tensor]:
    """Local mean subtracted, divided by local deviation plus 1 (eq. 1 to 3 of the paper).

    Args:
        strips: luma of rows of blocks, with three pixels more on each side, (N, side+6, W+6).
        variant: which taps, and what is rounded to float32.

    Returns:
        coefficients and local standard deviation, both (N, side, W) in the variant's precision.
    """
    mean, square = _local_means(strips, variant)
    deviation = (square - mean * mean).abs_().sqrt_()
    return (strips[:, RADIUS:-RADIUS, RADIUS:-RADIUS] - mean).div_(deviation + 1), deviation


def _local_means(strips: Tensor, variant: Variant) -> Tensor:
    """Values and their squares weighted by a Gaussian window, (N, H+6, W+6) -> (2, N, H, W)."""
    taps = gaussian_taps(variant)
    # Squares of the second scale are rounded to float32 with the map; those of whole numbers are exact anyway.
    both = torch.stack([strips, strips * strips]).double()
    rows = filtered(both, taps, -2)
    if variant.rounding == "each":
        rows = rows.float().double()
    means = filtered(rows, taps, -1)
    return means if variant.rounding == "never" else means.float()
