"""ISE of MoESR (Emad, Peemen & Corporaal, WACV 2022): how sharp an expert's image is for its LR image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ISE_FIELD, ISE_STRIDE = 49, 8
"""Receptive field and stride of the ISE map, in HR pixels."""


class SharpnessEvaluator(nn.Module):
    """ISE: a map of how much too sharp (positive) or blurred an expert's image is; 1,594,241 parameters.

    Convolutions have no padding: a map of ``(side - 49)//8 + 1`` values a side from images of that side.

    Args:
        features: width of the first convolution; the last but one has eight times as many.

    >>> sum(p.numel() for p in SharpnessEvaluator().parameters())
    1594241
    >>> SharpnessEvaluator(4)(torch.zeros(1, 3, 128, 128), torch.zeros(1, 3, 128, 128)).shape
    torch.Size([1, 1, 10, 10])
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        self.features = features
        widths = [6, features, features, 2 * features, 4 * features, 8 * features, 1]
        strides = [1, 2, 2, 2, 1, 1]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=s) for i, o, s in zip(widths, widths[1:], strides, strict=False)
        )

    def forward(self, sr: Tensor, enlarged: Tensor) -> Tensor:
        """The map.

        Args:
            sr: what an expert made, (B, 3, H, W), both sides at least 49.
            enlarged: the LR image enlarged in one step by :func:`~octosr.techniques.moesr.network.bicubic`,
                (B, 3, H, W).

        Returns:
            (B, 1, h, w), unbounded.
        """
        return self.judge(sr, self.prepare(enlarged))

    def prepare(self, enlarged: Tensor) -> Tensor:
        """The first convolution's share of the enlarged LR image, which is the same for all experts."""
        first = self.convs[0]
        assert isinstance(first, nn.Conv2d)
        return F.conv2d(enlarged.contiguous(memory_format=torch.channels_last), first.weight[:, 3:], first.bias)

    def judge(self, sr: Tensor, prepared: Tensor, tail: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The map.

        Args:
            sr: (S*B, 3, H, W), images fastest.
            prepared: what :meth:`prepare` made of (B, 3, H, W).
            tail: from :meth:`last_two`, where no gradient is wanted.
        """
        first = self.convs[0]
        assert isinstance(first, nn.Conv2d)
        # Convolutions with strides cost twice as much in other layouts.
        x = F.conv2d(sr.contiguous(memory_format=torch.channels_last), first.weight[:, :3])
        # In place: sums and convolutions need no results of theirs for their gradients. And x itself goes on, not its
        # view of five dimensions made flat, whose strides convolutions take for those of another layout.
        (x if len(x) == len(prepared) else x.unflatten(0, (-1, len(prepared)))).add_(prepared)
        x = F.relu_(x)
        for conv in self.convs[1:4]:
            x = F.relu_(conv(x))
        if tail is None:
            return self.convs[5](self.convs[4](x))
        return F.conv2d(x, *tail)

    @torch.no_grad()
    def last_two(self) -> tuple[Tensor, Tensor]:
        """The last two convolutions, between which nothing is, as one of 5x5: a third of the arithmetic less."""
        before, last = self.convs[4], self.convs[5]
        assert isinstance(before, nn.Conv2d)
        assert isinstance(last, nn.Conv2d)
        assert before.bias is not None
        assert last.bias is not None
        weight = F.conv_transpose2d(last.weight, before.weight).contiguous(memory_format=torch.channels_last)
        return weight, last.bias + last.weight.sum((2, 3)) @ before.bias
