"""The final pass over whole images: exact tiles, and the public code's blended patches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from octosr.cores import map_on_cores
from octosr.techniques.blindsr.network import Generator

RAMP = 0.1
"""Weight of the outermost pixel of the public code's patches."""


def generate_in_tiles(generator: Generator, lr: Tensor, enlarged: Tensor, codes: Tensor, side: int) -> Tensor:
    """What the generator makes of whole images, computed in tiles that see as far as it does: exact, in less memory.

    Args:
        generator: the generator.
        lr: (N, 3, h, w).
        enlarged: (N, 3, s*h, s*w).
        codes: (N, C), or a map (N, C, h, w).
        side: of the tiles in LR pixels, without what they see around them.

    Returns:
        (N, 3, s*h, s*w), not clamped.
    """
    scale, reach = generator.scale, radius(generator)
    sr = torch.empty_like(enlarged)

    def make(job: tuple[int, tuple[slice, slice], tuple[slice, slice]]) -> None:
        n, inner, outer = job
        seen = (slice(n, n + 1), slice(None))
        code = codes[n : n + 1] if codes.ndim == 2 else codes[(*seen, *outer)]
        made = generator(lr[(*seen, *outer)], enlarged[(*seen, *_times(outer, scale))], code).sr
        shift = tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))
        sr[(*seen, *_times(inner, scale))] = made[(..., *_times(shift, scale))]

    jobs = [(n, inner, outer) for n in range(len(lr)) for inner, outer in _tiles(lr.shape[-2:], side, reach)]
    map_on_cores(make, jobs, lr.device)
    return sr


def radius(network: nn.Module) -> int:
    """How far in LR pixels a value of such a network depends on its input: its convolutions are all in a row."""
    return sum(int(m.kernel_size[0]) // 2 for m in network.modules() if isinstance(m, nn.Conv2d))


def _tiles(size: torch.Size, side: int, reach: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Tiles of an image of a height and width, and the same with what lies within reach."""
    lines = [
        [
            (slice(start, min(start + side, length)), slice(max(start - reach, 0), min(start + side + reach, length)))
            for start in range(0, length, side)
        ]
        for length in size
    ]
    for row, seen_rows in lines[0]:
        for column, seen_columns in lines[1]:
            yield (row, column), (seen_rows, seen_columns)


def _times(place: tuple[slice, ...], scale: int) -> tuple[slice, ...]:
    return tuple(slice(s.start * scale, s.stop * scale) for s in place)


def blend_published(patches: Tensor, corners: Tensor, size: tuple[int, int], overlap: int) -> Tensor:
    """Put enlarged patches together as the public code does: weights rise from 0.1 to 1 over the overlap.

    Args:
        patches: (N, P, C, p, q).
        corners: (P, 2), in pixels of the patches.
        size: height and width of the whole.
        overlap: in pixels of the patches.

    Returns:
        (N, C, height, width).
    """
    rows, columns = (_ramp(patches, length, overlap) for length in patches.shape[-2:])
    weight = rows[:, None] * columns
    total = patches.new_zeros(len(patches), patches.shape[2], *size)
    mass = patches.new_zeros(size)
    for number, (top, left) in enumerate(corners.tolist()):
        place = (..., slice(top, top + len(rows)), slice(left, left + len(columns)))
        total[place] += patches[:, number] * weight
        mass[place] += weight
    return total / mass


def _ramp(like: Tensor, length: int, overlap: int) -> Tensor:
    """The public code's weights along one side; where two ramps do not fit, the smaller of both."""
    rise = torch.linspace(RAMP, 1, overlap, dtype=like.dtype, device=like.device)
    line = like.new_ones(length)
    fit = min(overlap, length)
    line[:fit] = rise[:fit]
    line[length - fit :] = torch.minimum(line[length - fit :], rise[:fit].flip(0))
    return line
