"""ISE for many images made from the same ones, with what is the same for all of them computed once."""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.nn.winograd import suits_tiles
from octosr.techniques.moesr.sharpness import SharpnessEvaluator


class Judge:
    """Makes ISE's maps, without gradients.

    Args:
        evaluator: ISE.
        enlarged: the LR images enlarged by bicubic interpolation, (B, 3, H, W).
        coarse: an error of some 1e-5 of the maps will do, where the CPU is faster for it (:mod:`octosr.nn.amx`).
    """

    @torch.no_grad()
    def __init__(self, evaluator: SharpnessEvaluator, enlarged: Tensor, coarse: bool = True) -> None:
        if enlarged.device.type == "cpu":
            # Once, and not in each pass: the layout in which convolutions with strides take weights as they are.
            evaluator = deepcopy(evaluator).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.evaluator = evaluator
        self.prepared, self.tail = evaluator.prepare(enlarged), evaluator.last_two()
        self._filters: list[Tensor] = []
        if coarse and evaluator.features % 32 == 0 and suits_tiles(enlarged):
            from octosr.nn.convolution_amx import transform_filter

            self._filters = [transform_filter(conv.weight) for conv in self._inner()]

    def __call__(self, sr: Tensor, images: slice) -> Tensor:
        """Maps (S*B, 1, h, w) of (S*B, 3, H, W), which were made from some of the images, those fastest."""
        prepared = self.prepared[images]
        if not self._filters:
            return self.evaluator.judge(sr, prepared, self.tail)
        from octosr.nn.convolution_amx import convolve, relu_packed

        first = self.evaluator.convs[0]
        assert isinstance(first, nn.Conv2d)
        maps = F.conv2d(sr.contiguous(memory_format=torch.channels_last), first.weight[:, :3]).permute(0, 2, 3, 1)
        added = prepared.permute(0, 2, 3, 1)
        for conv, filters in zip(self._inner(), self._filters, strict=True):
            maps = convolve(relu_packed(maps, added), filters, conv.stride[0])
            assert conv.bias is not None
            added = conv.bias
        return F.conv2d(F.relu_(maps.add_(added)).permute(0, 3, 1, 2), *self.tail)

    def _inner(self) -> list[nn.Conv2d]:
        """The convolutions with strides."""
        return [conv for conv in self.evaluator.convs[1:4] if isinstance(conv, nn.Conv2d)]
