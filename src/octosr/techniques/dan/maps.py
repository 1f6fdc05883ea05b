"""Two ways to hold the feature maps of a body and convolve them: plainly, or as tiles for fast convolution on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from octosr.nn import winograd

MIN_CHANNELS = 48
"""Below this width direct convolution on a CPU is as fast."""
MAX_NUMBERS = 2**25
"""Tiles whose transform is larger (128 MB in float32) are convolved directly when gradients are wanted."""


class PlainMaps:
    """Feature maps as (B, C, h, w); convolutions by PyTorch."""

    def enter(self, x: Tensor) -> Tensor:
        """From (B, C, h, w)."""
        return x

    def leave(self, x: Tensor) -> Tensor:
        """To (B, C, h, w)."""
        return x

    def conv(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        """A 3x3 convolution with padding 1."""
        result: Tensor = layer(x)
        return result

    def mean(self, x: Tensor) -> Tensor:
        """Mean over each map, (B, C)."""
        return x.mean((2, 3))

    def per_channel(self, values: Tensor) -> Tensor:
        """(B, C) in a shape that multiplies maps channel by channel."""
        return values[:, :, None, None]

    def add_nine(self, x: Tensor, nine: Tensor) -> Tensor:
        """Add to the corners, edges and interior of each map the values (B, C, 3, 3); x may be overwritten.

        ``nine`` may also be a whole (B, C, h, w), for maps that lack an interior or edge.
        """
        return x + (nine if nine.shape == x.shape else spread(nine, x.shape[-2], x.shape[-1]))


class TiledMaps(PlainMaps):
    """Feature maps as tiles; convolutions by Winograd's algorithm, see :mod:`~octosr.nn.winograd`.

    Filters are transformed when first used, so one object serves as long as the weights do not change.
    """

    def __init__(self) -> None:
        self._workspace = winograd.Workspace()
        self._filters: dict[nn.Conv2d, Tensor] = {}

    def enter(self, x: Tensor) -> Tensor:
        """From (B, C, h, w)."""
        return winograd.to_tiles(x)

    def leave(self, x: Tensor) -> Tensor:
        """To (B, C, h, w)."""
        return winograd.from_tiles(x)

    def conv(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        """A 3x3 convolution with padding 1."""
        if torch.is_grad_enabled() and winograd.transform_size(x, layer.out_channels) > MAX_NUMBERS:
            return self.enter(layer(self.leave(x)))
        if layer not in self._filters:
            with torch.enable_grad():  # also serves the iteration that is differentiated
                self._filters[layer] = winograd.transform_filter(layer.weight)
        assert layer.bias is not None
        return winograd.convolve(x, self._filters[layer], layer.bias, self._workspace)

    def mean(self, x: Tensor) -> Tensor:
        """Mean over each map, (B, C)."""
        return x.mean((0, 1, 3, 4))

    def per_channel(self, values: Tensor) -> Tensor:
        """(B, C) in a shape that multiplies maps channel by channel."""
        return values[:, None, None, :]

    def add_nine(self, x: Tensor, nine: Tensor) -> Tensor:
        """See :meth:`PlainMaps.add_nine`."""
        if torch.is_grad_enabled():
            return x + winograd.to_tiles(spread(nine, *(winograd.BLOCK * side for side in x.shape[3:5])))
        # In place: the interior's value everywhere, then what edges, then what corners differ from that.
        middle = nine[:, :, 1, 1]
        x.add_(self.per_channel(middle))
        for row, r in ((0, 0), (-1, 2)):
            x[row, :, :, row] += (nine[:, :, r, 1] - middle)[:, None]
            x[:, row, :, :, row] += (nine[:, :, 1, r] - middle)[:, None]
            for column, c in ((0, 0), (-1, 2)):
                x[row, column, :, row, column] += nine[:, :, r, c] - nine[:, :, r, 1] - nine[:, :, 1, c] + middle
        return x


def spread(nine: Tensor, height: int, width: int) -> Tensor:
    """(B, C, 3, 3) to (B, C, height, width): corners, edges and interior, each of one value; sides at least 2."""
    rows = torch.cat([nine[:, :, :1], nine[:, :, 1:2].expand(-1, -1, height - 2, -1), nine[:, :, 2:]], 2)
    return torch.cat([rows[..., :1], rows[..., 1:2].expand(-1, -1, -1, width - 2), rows[..., 2:]], 3)


def maps_for(lr: Tensor, channels: int, allowed: bool) -> PlainMaps:
    """The faster of the two for images of the size of ``lr`` (B, 3, h, w).

    Tiles are for full precision on a CPU, sides that are multiples of 4 and bodies that are wide enough. Compiled
    networks and mixed precision use PyTorch's own convolutions.
    """
    fits = all(side % winograd.BLOCK == 0 for side in lr.shape[-2:]) and channels >= MIN_CHANNELS
    if allowed and fits and winograd.suits(lr):
        return TiledMaps()
    return PlainMaps()
