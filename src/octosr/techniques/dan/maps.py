"""Two ways to convolve the feature maps of a body: by PyTorch, or by fast convolution on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from octosr.nn.convolution import LEAST_CHANNELS, conv_transformed
from octosr.nn.winograd import suits, transform_filter


class PlainMaps:
    """Feature maps as (B, C, h, w); convolutions by PyTorch."""

    def enter(self, x: Tensor) -> Tensor:
        """Maps (B, C, h, w) as convolutions take them."""
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


class FastMaps(PlainMaps):
    """Feature maps in channels_last memory; convolutions by Winograd's algorithm, see :mod:`octosr.nn.winograd`.

    Filters are transformed when first used, so one object serves as long as the weights do not change.
    """

    def __init__(self) -> None:
        self._filters: dict[nn.Conv2d, Tensor] = {}

    def enter(self, x: Tensor) -> Tensor:
        """To channels_last memory."""
        return x.contiguous(memory_format=torch.channels_last)

    def conv(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        """A 3x3 convolution with padding 1."""
        if layer not in self._filters:
            with torch.enable_grad():  # also serves the iteration that is differentiated
                self._filters[layer] = transform_filter(layer.weight)
        return conv_transformed(x, self._filters[layer], layer.bias)

    def add_nine(self, x: Tensor, nine: Tensor) -> Tensor:
        """See :meth:`PlainMaps.add_nine`."""
        if torch.is_grad_enabled() or nine.shape == x.shape:
            return super().add_nine(x, nine)
        # In place: the interior's value everywhere, then what edges, then what corners differ from that.
        middle = nine[:, :, 1, 1]
        x.add_(self.per_channel(middle))
        for row, r in ((0, 0), (-1, 2)):
            x[:, :, row] += (nine[:, :, r, 1] - middle)[:, :, None]
            x[:, :, :, row] += (nine[:, :, 1, r] - middle)[:, :, None]
            for column, c in ((0, 0), (-1, 2)):
                x[:, :, row, column] += nine[:, :, r, c] - nine[:, :, r, 1] - nine[:, :, 1, c] + middle
        return x


def spread(nine: Tensor, height: int, width: int) -> Tensor:
    """(B, C, 3, 3) to (B, C, height, width): corners, edges and interior, each of one value; sides at least 2."""
    rows = torch.cat([nine[:, :, :1], nine[:, :, 1:2].expand(-1, -1, height - 2, -1), nine[:, :, 2:]], 2)
    return torch.cat([rows[..., :1], rows[..., 1:2].expand(-1, -1, -1, width - 2), rows[..., 2:]], 3)


def maps_for(lr: Tensor, channels: int, allowed: bool) -> PlainMaps:
    """The faster of the two for images like ``lr`` (B, 3, h, w).

    Fast convolution is for full precision on a CPU and bodies that are wide enough. Compiled networks and mixed
    precision use PyTorch's own convolutions.
    """
    return FastMaps() if allowed and channels >= LEAST_CHANNELS and suits(lr) else PlainMaps()
