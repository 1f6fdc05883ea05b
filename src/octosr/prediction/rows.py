"""From rows of float RGB to rows of samples as they are stored."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from octosr.data.encode import to_uint8, to_uint16, unit_values
from octosr.degradation.resize import resize
from octosr.prediction.picture import Picture, Pixels, PlaneSource

_REACH = 4
"""LR pixels around a band from which its bicubic enlargement depends on nothing else (two would do)."""


class RowEncoder:
    """Rounds rows, brings grey back to one channel, and puts alpha, enlarged with bicubic, beside the colours.

    Args:
        picture: the LR picture.
        scale: of the enlargement.
        bits: of the samples to make: 8, 16, or 32 for floats.
    """

    def __init__(self, picture: Picture, scale: int, bits: int) -> None:
        self.grey, self.scale, self.bits = picture.grey, scale, bits
        self.alpha = None if picture.alpha is None else PlaneSource(picture.alpha)
        self.channels = (1 if picture.grey else 3) + (picture.alpha is not None)
        self.done = 0

    def colours(self, rows: Tensor) -> Tensor:
        """(3, r, W) float RGB as the channels that are stored: one where the picture is grey."""
        # In 64 bits the mean of three equal floats is that float again, so interpolation is untouched.
        return rows.double().mean(0, keepdim=True).float() if self.grey else rows

    def encode(self, rows: Tensor) -> Pixels:
        """The next rows.

        Args:
            rows: (3, r, W) float RGB.

        Returns:
            (r, W, channels) uint8, uint16 or float32.

        Raises:
            OctoSRError: a value is NaN or infinite.
        """
        return self.join(quantise(self.colours(rows), self.bits))

    def join(self, samples: Tensor) -> Pixels:
        """The next rows where their colours are rounded already.

        Args:
            samples: (1 or 3, r, W), what :meth:`colours` gives as stored samples, on the CPU.

        Returns:
            As :meth:`encode`.
        """
        planes: Pixels = samples.numpy()
        if self.alpha is not None:
            alpha = enlarge_rows(self.alpha, self.scale, self.done, self.done + samples.shape[1])
            planes = np.concatenate((planes, quantise(alpha, self.bits).numpy()))
        self.done += samples.shape[1]
        return np.ascontiguousarray(planes.transpose(1, 2, 0))


def quantise(values: Tensor, bits: int) -> Tensor:
    """Float values in [0, 1] as stored samples: 8 or 16 bits, or floats (32)."""
    return {8: to_uint8, 16: to_uint16, 32: unit_values}[bits](values)


def enlarge_rows(plane: PlaneSource, scale: int, top: int, bottom: int) -> Tensor:
    """Rows ``top`` to ``bottom - 1`` of the bicubic enlargement of one plane.

    Args:
        plane: the LR plane.
        scale: of the enlargement.
        top: first row wanted, in HR pixels.
        bottom: the row after the last.

    Returns:
        (1, bottom - top, scale*width) float32, clamped to [0, 1]; what enlarging the whole plane gives.
    """
    first = max(top // scale - _REACH, 0)
    last = min(-(-bottom // scale) + _REACH, plane.height)
    part = plane.read(first, last, 0, plane.width)[:1]
    large = resize(part, ((last - first) * scale, plane.width * scale), "bicubic", border="renormalise")
    return large[:, top - first * scale : bottom - first * scale].clamp(0, 1)


class RowBuffer:
    """Collects rows and gives them back in bands of a fixed height.

    Args:
        height: rows of a band.
    """

    def __init__(self, height: int) -> None:
        self.height = height
        self._parts: list[Pixels] = []
        self._held = 0

    def add(self, rows: Pixels) -> list[Pixels]:
        """Take rows (r, ...); the bands that are full now."""
        self._parts.append(rows)
        self._held += len(rows)
        if self._held < self.height:
            return []
        held = np.concatenate(self._parts) if len(self._parts) > 1 else rows
        full = self._held // self.height * self.height
        self._parts, self._held = [held[full:].copy()], self._held - full
        return [held[top : top + self.height] for top in range(0, full, self.height)]

    def rest(self) -> list[Pixels]:
        """The last band, if one is begun."""
        held = [part for part in self._parts if len(part)]
        self._parts, self._held = [], 0
        return [np.concatenate(held)] if held else []
