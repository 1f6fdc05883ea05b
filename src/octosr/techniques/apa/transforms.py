"""The transformations of ADA's "bgc" augmentation as small matrices, one an image, float64 on the CPU.

Geometry is composed as maps from places of the result to places of the image, so each step is multiplied on the right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from octosr.techniques.apa.draws import Draws

MOVE = 0.125
"""Largest move by whole pixels, and standard deviation of the others, as a part of the side."""
SCALE = 0.2
"""Standard deviation of the scalings' binary logarithm."""
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0
"""Standard deviation of what is added to brightness, and of the binary logarithms of contrast and saturation."""


class Chances:
    """Parameters of transformations, each of which happens with a probability of its own.

    Args:
        draws: random numbers of the images.
        purpose: which images of the phase.
        p: probability of one transformation.
    """

    def __init__(self, draws: Draws, purpose: str, p: float) -> None:
        self.random, self.ids = draws.random, draws.ids.cpu()
        self.prefix, self.p = f"{draws.phase}/{purpose}", p

    def uniform(self, name: str, neutral: float, shape: Sequence[int] = (), p: float | None = None) -> Tensor:
        """Uniform in [0, 1), or ``neutral`` where the transformation does not happen, (N, *shape)."""
        return self._gate(self.random.uniform(self.ids, f"{self.prefix}/{name}", shape), name, neutral, p)

    def normal(self, name: str, shape: Sequence[int] = ()) -> Tensor:
        """Standard normal, or 0 where the transformation does not happen, (N, *shape)."""
        return self._gate(self.random.normal(self.ids, f"{self.prefix}/{name}", shape), name, 0.0, None)

    def _gate(self, value: Tensor, name: str, neutral: float, p: float | None) -> Tensor:
        happens = self.random.uniform(self.ids, f"{self.prefix}/{name}/gate") < (self.p if p is None else p)
        return torch.where(happens.view(-1, *[1] * (value.ndim - 1)), value, neutral)


def geometry(chances: Chances, width: int, height: int, rotate: bool) -> Tensor:
    """Mirroring, turns, moves by whole pixels; scaling, rotation, anisotropic scaling, rotation, moves: (N, 3, 3)."""
    mirrored = chances.uniform("flip", 0.0) >= 0.5
    sides = torch.tensor([width, height], dtype=torch.float64)
    inverse = scale(1 - 2 * mirrored.double(), torch.ones(len(mirrored), dtype=torch.float64))
    if rotate:
        inverse = inverse @ turn((chances.uniform("turn", 0.0) * 4).floor() * (math.pi / 2))
    move = ((2 * chances.uniform("whole", 0.5, (2,)) - 1) * MOVE * sides).round()
    inverse = inverse @ shift(-move[:, 0], -move[:, 1])
    size = torch.exp2(-SCALE * chances.normal("size"))
    inverse = inverse @ scale(size, size)
    either = 1 - math.sqrt(1 - min(chances.p, 1.0))  # with this for each of two rotations, one of them happens with p
    if rotate:
        inverse = inverse @ turn((2 * chances.uniform("before", 0.5, p=either) - 1) * math.pi)
    stretch = torch.exp2(-SCALE * chances.normal("stretch"))
    inverse = inverse @ scale(stretch, 1 / stretch)
    if rotate:
        inverse = inverse @ turn((2 * chances.uniform("after", 0.5, p=either) - 1) * math.pi)
    move = chances.normal("part", (2,)) * MOVE * sides
    return inverse @ shift(-move[:, 0], -move[:, 1])


def colours(chances: Chances) -> Tensor:
    """Brightness, contrast, luma flip, hue, saturation, for colours (R, G, B, 1): (N, 4, 4)."""
    count = len(chances.ids)
    eye = torch.eye(4, dtype=torch.float64)
    grey = torch.zeros(4, 4, dtype=torch.float64)
    grey[:3, :3] = 1 / 3  # projects colours onto the axis of greys
    matrix = eye.repeat(count, 1, 1)
    matrix[:, :3, 3] = BRIGHTNESS * chances.normal("brightness")[:, None]
    contrast = torch.exp2(CONTRAST * chances.normal("contrast"))
    factors = torch.stack([contrast, contrast, contrast, torch.ones_like(contrast)], 1)
    matrix = torch.diag_embed(factors) @ matrix
    flipped = (chances.uniform("luma", 0.0) >= 0.5).double()
    matrix = (eye - 2 * grey * flipped[:, None, None]) @ matrix
    matrix = _about_grey((2 * chances.uniform("hue", 0.5) - 1) * math.pi) @ matrix
    saturation = torch.exp2(SATURATION * chances.normal("saturation"))
    return (grey + (eye - grey) * _keep_one(saturation)) @ matrix


def _keep_one(factor: Tensor) -> Tensor:
    """A factor (N,) for rows of colour, 1 for the row of the constant: (N, 4, 1)."""
    return torch.stack([factor, factor, factor, torch.ones_like(factor)], 1)[:, :, None]


def _about_grey(angle: Tensor) -> Tensor:
    """Rotation of colours about the axis of greys (Rodrigues' formula), (N,) -> (N, 4, 4)."""
    axis = math.sqrt(1 / 3)
    cross = torch.tensor([[0, -axis, axis], [axis, 0, -axis], [-axis, axis, 0]], dtype=torch.float64)
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    turned = torch.eye(4, dtype=torch.float64).repeat(len(angle), 1, 1)
    turned[:, :3, :3] += sine * cross + (1 - cosine) * (cross @ cross)
    return turned


def _matrix(rows: Sequence[Sequence[Tensor | float]]) -> Tensor:
    values = [torch.as_tensor(value, dtype=torch.float64) for row in rows for value in row]
    return torch.stack(torch.broadcast_tensors(*values), -1).unflatten(-1, (len(rows), -1))


def shift(x: Tensor | float, y: Tensor | float) -> Tensor:
    """Move by (x, y), (..., 3, 3)."""
    return _matrix([[1, 0, x], [0, 1, y], [0, 0, 1]])


def scale(x: Tensor | float, y: Tensor | float) -> Tensor:
    """Scale about the origin, (..., 3, 3)."""
    return _matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]])


def turn(angle: Tensor) -> Tensor:
    """Rotate about the origin, from x towards y, (..., 3, 3)."""
    sine, cosine = angle.sin(), angle.cos()
    return _matrix([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
