"""How MANIQA looks at an image of any size: which crops of 224x224 it takes, and how their scores become one.

The network itself scores 28x28 patches of one crop, each with a quality ``f`` and a weight ``w``; what is called the
sums of a crop here is ``(sum of w f, sum of w)`` over its patches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

CROP = 224
"""Side in pixels of the network's input."""
CROPS = 20
"""Crops of an image, in the official script and in pyiqa."""
OFFICIAL_SEED = 20
"""Seed of the crops in the official script."""
EPSILON = 1e-8

Position = tuple[int, int]
"""Top and left of a crop, in pixels."""


def uniform_positions(height: int, width: int, count: int = CROPS) -> list[Position]:
    """pyiqa's crops: the first ``count`` of a square grid, row by row.

    Grid and step come from the square root of ``count``, rounded up for the number of rows and columns and down for
    the step, so that of the 5x5 grid for 20 crops the bottom row is never used. Where a side has fewer than 4 pixels
    to spare the step is 0 and crops coincide.

    Args:
        height, width: size in pixels after :func:`enlarged`, both at least 224.
        count: number of crops.

    >>> uniform_positions(512, 512)[:6]
    [(0, 0), (0, 72), (0, 144), (0, 216), (0, 288), (72, 0)]
    >>> uniform_positions(512, 512)[-1]
    (216, 288)
    >>> set(uniform_positions(225, 225))
    {(0, 0)}
    """
    root = np.sqrt(count)
    rows = int(np.ceil(root))
    down, right = (height - CROP) // int(root), (width - CROP) // int(root)
    return [(i * down, j * right) for i in range(rows) for j in range(rows)][:count]


def official_positions(height: int, width: int, count: int = CROPS, seed: int = OFFICIAL_SEED) -> list[Position]:
    """The crops of the official script (IIGROUP/MANIQA, ``predict_one_image.py``).

    NumPy's global legacy generator is seeded once; then for each crop the top is drawn from ``[0, height - 224)`` and
    after it the left from ``[0, width - 224)``. The last row and column of pixels are thus never seen. Here the
    generator is a private one of the same kind, seeded for each image, as the script scores one image a start.

    Args:
        height, width: size in pixels, both at least 225.
        count: number of crops.
        seed: seed of the generator.

    Raises:
        ValueError: a side is shorter than 225 pixels; nothing can be drawn then.

    >>> official_positions(512, 512)[:3]
    [(271, 223), (218, 278), (71, 162)]
    """
    if min(height, width) <= CROP:
        raise ValueError(f"random crops of {CROP}x{CROP} need sides of at least {CROP + 1}, not {height}x{width}")
    draw = np.random.RandomState(seed).randint  # the script's generator, number for number
    return [(int(draw(0, height - CROP)), int(draw(0, width - CROP))) for _ in range(count)]


def distinct(positions: Sequence[Position]) -> tuple[list[Position], list[int]]:
    """Each position once, in the order of its first appearance, and how often it appears.

    >>> distinct([(0, 0), (0, 9), (0, 0)])
    ([(0, 0), (0, 9)], [2, 1])
    """
    counts: dict[Position, int] = {}
    for position in positions:
        counts[position] = counts.get(position, 0) + 1
    return list(counts), list(counts.values())


def enlarged(images: Tensor) -> Tensor:
    """Images with a side of at most 224 pixels, enlarged as pyiqa does; larger ones as they are.

    The shorter side becomes 225 (bilinear, no antialiasing); for 16 of the 224 possible lengths, 109 for instance,
    rounding inside torch makes it 224.

    Args:
        images: float, (B, C, H, W).

    >>> import torch
    >>> enlarged(torch.zeros(1, 3, 224, 224)).shape, enlarged(torch.zeros(1, 3, 112, 300)).shape[2:]
    (torch.Size([1, 3, 225, 225]), torch.Size([225, 602]))
    >>> enlarged(torch.zeros(1, 3, 109, 225)).shape[2], enlarged(torch.zeros(1, 3, 225, 225)).shape[2]
    (224, 225)
    """
    side = min(images.shape[2:])
    return images if side > CROP else interpolate(images, scale_factor=(CROP + 1) / side, mode="bilinear")


def study_resized(images: Tensor) -> Tensor:
    """The study's preparation: 8 bits, Pillow's bicubic to 224x224 regardless of aspect, 8 bits again.

    Args:
        images: float RGB in [0, 1], (B, 3, H, W); images read from 8-bit files come back to the very same 8 bits.

    Returns:
        float32 RGB in [0, 1], (B, 3, 224, 224), on the same device.

    >>> import torch
    >>> study_resized(torch.zeros(2, 3, 100, 50)).shape
    torch.Size([2, 3, 224, 224])
    """
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    small = [np.asarray(Image.fromarray(p).resize((CROP, CROP), Image.Resampling.BICUBIC)) for p in pixels]
    return torch.from_numpy(np.stack(small)).to(images.device).permute(0, 3, 1, 2).contiguous().float() / 255


def pooled_score(sums: Tensor, multiplicity: Sequence[int]) -> Tensor:
    """One weighted mean over the patches of all crops together, as pyiqa pools.

    Args:
        sums: (B, K, 2): sum of w f and sum of w of each of the K distinct crops.
        multiplicity: how often each of these crops counts, K numbers.

    Returns:
        (B,): ``sum w f / (sum w + 1e-8)``.

    >>> import torch
    >>> pooled_score(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), [3, 1])
    tensor([0.6000])
    """
    total = (sums * sums.new_tensor(multiplicity)[:, None]).sum(1)
    return total[:, 0] / (total[:, 1] + EPSILON)


def mean_score(sums: Tensor, multiplicity: Sequence[int]) -> Tensor:
    """The mean of the crops' own weighted means, as the official script takes it.

    Args:
        sums: (B, K, 2): sum of w f and sum of w of each of the K distinct crops.
        multiplicity: how often each of these crops counts, K numbers.

    Returns:
        (B,): mean over crops of ``sum w f / sum w`` (Patch-weighted Quality Prediction in the paper).

    >>> import torch
    >>> mean_score(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), [3, 1])
    tensor([0.5625])
    """
    counts = sums.new_tensor(multiplicity)
    return (sums[..., 0] / sums[..., 1] * counts).sum(1) / counts.sum()
