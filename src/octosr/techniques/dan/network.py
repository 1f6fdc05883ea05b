"""The alternation of DAN: restore with the current kernel, estimate the kernel from the result, repeat.

Z. Luo, Y. Huang, S. Li, L. Wang, T. Tan, "Unfolding the Alternating Optimization for Blind Super Resolution",
NeurIPS 2020 (v1), and "End-to-end Alternating Optimization for Blind Super Resolution", 2021 (v2).
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from octosr.degradation.resize import resize
from octosr.nn import parallel
from octosr.techniques.dan.composed import ComposedUpsampler, composed
from octosr.techniques.dan.layers import upsampler, upsampler_reach
from octosr.techniques.dan.maps import FastMaps, PlainMaps, maps_for

BICUBIC_REACH = 2
"""LR pixels that bicubic interpolation looks at around a pixel."""


class Prediction(NamedTuple):
    """What an Estimator says about the blur: ``code`` (B, p), and ``kernel`` (B, l*l) where it predicts one (v2)."""

    code: Tensor
    kernel: Tensor | None


class Estimate(NamedTuple):
    """Result of the alternation: ``sr`` (B, 3, s*h, s*w), ``code`` (B, p), ``kernel`` (B, l*l) or None (v1)."""

    sr: Tensor
    code: Tensor
    kernel: Tensor | None


class Prepared(NamedTuple):
    """What a Restorer computes once from the LR image: how maps are held, the first features, what the first block
    makes of them alone, the enlarged image added to the output (B, 3, s*h, s*w) or None, the sides (h, w), and the
    upsampler as one convolution where that is possible."""

    maps: PlainMaps
    features: Tensor
    first: Tensor
    skip: Tensor | None
    size: tuple[int, int]
    upscale: ComposedUpsampler | None


class Restorer(nn.Module):
    """LR image and kernel code -> SR image. What does not depend on the code is computed once, in ``prepare``.

    Args:
        features: width.
        scale: 2, 3, 4 or 8.
        bicubic_skip: add the bicubically enlarged LR image to the output and start with the last layer at zero,
            so that an untrained network is bicubic interpolation (ours; off in the paper).
        winograd: allow fast convolution on CPUs, see :mod:`~octosr.techniques.dan.maps`.
    """

    def __init__(self, features: int, scale: int, bicubic_skip: bool, winograd: bool) -> None:
        super().__init__()
        self.scale = scale
        self.bicubic_skip = bicubic_skip
        self.winograd = winograd
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.fusion = nn.Conv2d(features, features, 3, padding=1)
        self.upscale = upsampler(features, scale)
        if bicubic_skip:
            for parameter in self.upscale[-1].parameters():
                nn.init.zeros_(parameter)

    @property
    def reach(self) -> int:
        """On how many LR pixels around a pixel the result depends for a given code, global means left out."""
        found = self.get_submodule("body").modules()
        body = sum(isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) for module in found)
        return max(1 + body + 1 + upsampler_reach(self.scale), BICUBIC_REACH if self.bicubic_skip else 0)

    def first(self, maps: PlainMaps, features: Tensor) -> Tensor:
        """What the first block makes of the features before it meets the code."""
        raise NotImplementedError

    def restore(self, prepared: Prepared, code: Tensor) -> Tensor:
        """Run the body: maps of the restored image from what ``prepare`` gave and the code (B, p)."""
        raise NotImplementedError

    def maps(self, lr: Tensor) -> PlainMaps:
        """How to hold the feature maps of images like these."""
        return maps_for(lr, self.head.out_channels, self.winograd)

    def prepare(self, lr: Tensor) -> Prepared:
        """What of the LR image (B, 3, h, w) serves every iteration."""
        features = self.head(lr)
        maps = self.maps(lr)
        features = maps.enter(features)
        skip = resize(lr, (lr.shape[-2] * self.scale, lr.shape[-1] * self.scale)) if self.bicubic_skip else None
        upscale = composed(self.upscale, self.scale, lr)
        return Prepared(maps, features, self.first(maps, features), skip, (lr.shape[-2], lr.shape[-1]), upscale)

    def forward(self, prepared: Prepared, code: Tensor) -> Tensor:
        """SR image (B, 3, s*h, s*w), not clamped."""
        maps = prepared.maps
        x = maps.conv(self.fusion, self.restore(prepared, code))
        sr: Tensor
        if prepared.upscale is not None:
            sr = prepared.upscale(x)
        else:
            sr = self.upscale[1:](maps.conv(cast(nn.Conv2d, self.upscale[0]), x))
        return sr if prepared.skip is None else sr + prepared.skip


class Estimator(nn.Module):
    """SR image and LR image -> what blurred it. What depends on the LR image alone is computed once, in ``prepare``."""

    def prepare(self, lr: Tensor) -> tuple[Tensor, ...]:
        """What of the LR image (B, 3, h, w) serves every iteration."""
        raise NotImplementedError

    def forward(self, sr: Tensor, prepared: tuple[Tensor, ...], basis: Tensor) -> Prediction:
        """Predict the blur from SR (B, 3, s*h, s*w); ``basis`` (l*l, p) turns kernels into codes."""
        raise NotImplementedError


class DANNetwork(nn.Module):
    """One stage of DAN: the networks and the kernel PCA they were trained with.

    The PCA basis is a buffer, because its signs and rotation are arbitrary: weights mean nothing without it.

    Args:
        restorer: LR and code -> SR.
        estimator: SR and LR -> code.
        scale: upscaling factor.
        kernel_size: side l of the blur kernels, odd.
        components: length p of the kernel code.
        iterations: T, how often the two alternate.
    """

    pca_basis: Tensor
    initial_code: Tensor
    pca_fitted: Tensor

    def __init__(
        self, restorer: Restorer, estimator: Estimator, scale: int, kernel_size: int, components: int, iterations: int
    ) -> None:
        super().__init__()
        self.restorer = restorer
        self.estimator = estimator
        self.scale = scale
        self.kernel_size = kernel_size
        self.components = components
        self.iterations = iterations
        self.register_buffer("pca_basis", torch.zeros(kernel_size**2, components))
        self.register_buffer("initial_code", torch.zeros(components))
        self.register_buffer("pca_fitted", torch.tensor(False))

    def set_pca_basis(self, basis: Tensor) -> None:
        """Take over a PCA basis (l*l, p); the alternation then starts from the code of the Dirac kernel."""
        self.pca_basis.copy_(basis)
        self.initial_code.copy_(basis[self.kernel_size**2 // 2])
        self.pca_fitted.fill_(True)

    def forward(self, lr: Tensor, code: Tensor | None = None, final_estimate: bool = True) -> Estimate:
        """Alternate T times.

        SR and code are cut off from the gradient wherever they pass from one network to the other, so no gradient
        of a loss on the last iteration reaches an earlier one: those run without autograd.

        Args:
            lr: (B, 3, h, w) in [0, 1].
            code: (B, p); if given, restore with this code once instead of alternating.
            final_estimate: estimate code and kernel again from the last SR image (training needs it). Otherwise
                the code and kernel returned are those the SR image was restored with (kernel None if there is none).
        """
        if parallel.worthwhile(lr) and isinstance(self.restorer.maps(lr), FastMaps):

            def part(lr: Tensor | None, code: Tensor | None) -> tuple[Tensor | None, ...]:
                return tuple(self._alternate(cast(Tensor, lr), code, final_estimate))

            sr, code, kernel = parallel.run(part, (lr, code), list(self.parameters()))
            return Estimate(cast(Tensor, sr), cast(Tensor, code), kernel)
        return self._alternate(lr, code, final_estimate)

    def _alternate(self, lr: Tensor, code: Tensor | None, final_estimate: bool) -> Estimate:
        prepared = self.restorer.prepare(lr)
        clues = self.estimator.prepare(lr) if code is None or final_estimate else ()
        kernel = None
        if code is None:
            code = self.initial_code.expand(lr.shape[0], -1)
            with torch.no_grad(), _uncached_autocast(lr.device.type):
                for _ in range(self.iterations - 1):
                    sr = self.restorer(prepared, code)
                    code, kernel = self.estimator(sr, clues, self.pca_basis)
        sr = self.restorer(prepared, code)
        if not final_estimate:
            return Estimate(sr, code, kernel)
        return Estimate(sr, *self.estimator(sr.detach(), clues, self.pca_basis))


def _uncached_autocast(device_type: str) -> torch.autocast:
    """The autocast in force, but without its cache of cast weights.

    A weight cast under ``no_grad`` would be cached without history and served to the last iteration, which would
    then leave the weight without gradient.
    """
    enabled = torch.is_autocast_enabled(device_type)
    return torch.autocast(
        device_type, dtype=torch.get_autocast_dtype(device_type), enabled=enabled, cache_enabled=False
    )
