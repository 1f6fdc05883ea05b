"""FastGAN's discriminator: a path for the large image, one for the small, and decoders that show what it remembers."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.techniques.fastgan.generator import small_side
from octosr.techniques.fastgan.layers import (
    SLOPE,
    Down,
    Excitation,
    SpectralConv,
    TwoWayDown,
    UpBlock,
    batch_norm,
    pixel_by_pixel,
)

_BIG = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # features from 256 pixels down to 8, in units of the width
_SMALL = (0.5, 1.0, 2.0, 4.0)  # from 64 pixels down to 8
_DECODER = (2.0, 1.0, 1.0, 0.5)  # from 16 pixels up


class Decoder(nn.Module):
    """Features of 8x8 to a small image in (-1, 1)."""

    def __init__(self, inputs: int, side: int, width: int) -> None:
        super().__init__()
        doublings = (side // 8).bit_length() - 1
        channels = [inputs, *(max(1, int(multiple * width)) for multiple in _DECODER[:doublings])]
        pairs = pairwise(channels)
        self.up = nn.ModuleList(UpBlock(a, b) for a, b in pairs)
        self.out = SpectralConv(channels[-1], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 3, side, side)."""
        x = F.adaptive_avg_pool2d(x, 8)
        for block in self.up:
            x = block(x)
        return torch.tanh(self.out(x))


class Discriminator(nn.Module):
    """Scores of pairs of images, and reconstructions of real ones.

    Args:
        resolution: side R of the large image. Below 256 the first blocks of both paths are left out, with the
            excitations that begin there, so that both end at 8 pixels.
        width: channels at 64 pixels; 64 as published.
    """

    def __init__(self, resolution: int, width: int = 64) -> None:
        super().__init__()
        self.resolution, self.small = resolution, small_side(resolution)
        left_out = max(0, 8 - (resolution.bit_length() - 1))  # 256 is 2^8
        channels = [max(1, int(multiple * width)) for multiple in _BIG][left_out:]
        self.entry = nn.ModuleList()
        if resolution == 1024:
            half = max(1, width // 8)
            self.entry.extend((SpectralConv(3, half, 4, stride=2, padding=1), Down(half, channels[0])))
        elif resolution == 512:
            self.entry.append(SpectralConv(3, channels[0], 4, stride=2, padding=1))
        else:
            self.entry.append(SpectralConv(3, channels[0], 3, padding=1))
        self.down, self.gates = nn.ModuleList(), nn.ModuleDict()
        for number, (a, b) in enumerate(pairwise(channels)):
            self.down.append(TwoWayDown(a, b))
            if number >= 2:
                self.gates[str(number)] = Excitation(channels[number - 2], b)
        self.score = SpectralConv(channels[-1], 16 * width, 1)
        self.score_norm = batch_norm(16 * width)
        self.score_out = SpectralConv(16 * width, 1, 4)
        narrow = [max(1, int(multiple * width)) for multiple in _SMALL][min(left_out, 3) :]
        self.small_entry = SpectralConv(3, narrow[0], 4, stride=2, padding=1)
        self.small_down = nn.ModuleList(Down(a, b) for a, b in pairwise(narrow))
        self.small_out = SpectralConv(narrow[-1], 1, 4)
        self.decoder_big = Decoder(channels[-1], self.small, width)
        self.decoder_part = Decoder(channels[-2], self.small, width)
        self.decoder_small = Decoder(narrow[-1], self.small, width)

    @property
    def decoders(self) -> list[nn.Module]:
        """What runs for real images only."""
        return [self.decoder_big, self.decoder_small, self.decoder_part]

    def features(self, big: Tensor, small: Tensor) -> list[Tensor]:
        """Features of the large path from its first on, the last two 16x16 and 8x8, and then the small path's 8x8."""
        big, small = pixel_by_pixel(big), pixel_by_pixel(small)
        x = F.leaky_relu(self.entry[0](big), SLOPE)
        for block in list(self.entry)[1:]:
            x = block(x)
        found = [x]
        for number, block in enumerate(self.down):
            x = block(x)
            if str(number) in self.gates:
                x = self.gates[str(number)](found[number - 2], x)
            found.append(x)
        y = F.leaky_relu(self.small_entry(small), SLOPE)
        for block in self.small_down:
            y = block(y)
        return [*found, y]

    def logits(self, found: list[Tensor]) -> Tensor:
        """(B, 50): 25 scores of places in the large image, then 25 in the small."""
        x = F.leaky_relu(self.score_norm(self.score(found[-2])), SLOPE)
        logits = torch.cat((self.score_out(x).flatten(1), self.small_out(found[-1]).flatten(1)), 1)
        return logits.to(self.score.weight.dtype)  # losses in full precision, whatever autocast says

    def forward(
        self, big: Tensor, small: Tensor, quadrant: int | Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor] | None]:
        """Score a pair, and reconstruct it where a quadrant is named.

        Args:
            big: (B, 3, R, R).
            small: (B, 3, s, s).
            quadrant: see :func:`crop_quadrant`, as a tensor () so that one compiled network does for all four; None: no
                reconstruction.

        Returns:
            Scores (B, 50), and small images (B, 3, s, s) reconstructed from the large path's last features, the small
            path's, and the quadrant of the large path's 16x16 features; or None.
        """
        found = self.features(big, small)
        logits = self.logits(found)
        if quadrant is None:
            return logits, None
        part = crop_quadrant(found[-3], quadrant)
        return logits, (self.decoder_big(found[-2]), self.decoder_small(found[-1]), self.decoder_part(part))


def crop_quadrant(x: Tensor, quadrant: int | Tensor) -> Tensor:
    """A quarter of a map, (B, C, H, W) -> (B, C, H/2, W/2): 0 top left, 1 top right, 2 bottom left, 3 bottom right."""
    if isinstance(quadrant, Tensor):
        quarters = x.unflatten(3, (2, -1)).unflatten(2, (2, -1))
        rows = quarters.index_select(2, (quadrant // 2).view(1)).squeeze(2)
        return rows.index_select(3, (quadrant % 2).view(1)).squeeze(3)
    half = x.shape[-1] // 2
    top, left = quadrant // 2 * half, quadrant % 2 * half
    return x[..., top : top + half, left : left + half]
