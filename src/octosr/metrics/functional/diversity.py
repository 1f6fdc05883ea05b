"""How varied a set of generated images is, and how near it is to the images it was learned from.

Two ways a generative technique fails that no quality score of single images shows: *mode collapse* (all samples are
alike) and *memorisation* (samples are copies of training images). Both are distances between images, so both need a
distance. The one of :mod:`octosr.metrics.functional.octaves` needs no weights and works offline.

Nothing here judges an image. The mean distance of pairs of samples against that of pairs of real images tells of
collapse, the distance to the nearest training image (or its mirror image) against that between real images tells of
memorisation, and the energy distance of the two sets tells how alike they are as sets. LPIPS in place of this distance
is in :mod:`octosr.metrics.diversity`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from octosr.metrics.functional.octaves import descriptors, octaves, pyramid_scale, pyramid_side

WARN_BELOW, FAIL_BELOW = 0.5, 0.2
"""Of the real images' distance: below the first a set of samples is suspect, below the second it is a failure."""
FAR_ABOVE = 3.0
"""So many times as far from the training images as these from each other: the samples are something else, say noise."""
GAP_ABOVE = 0.1
"""Energy distance in units of the real images' mean distance: sets of one kind are below 0.02, those of untrained
generators from 0.12 on, although these are varied and no farther from single training images than real ones are."""


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances of all pairs of vectors, (N, D) and (M, D) -> (N, M); exactly 0 for equal ones."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


@dataclass(frozen=True)
class Diversity:
    """How varied samples are and how near to the training images, each beside the same of the real images.

    Attributes:
        samples: how many samples were looked at.
        reals: how many real images.
        pairwise: mean distance of two samples.
        pairwise_reals: mean distance of two real images.
        nearest: median distance of a sample to the nearest training image or mirror image.
        nearest_reals: the same for real images, the image itself (and its mirror image) left out.
        energy: energy distance of the two sets, 2 E d(sample, real) - E d(two samples) - E d(two reals), without bias
            (Szekely & Rizzo, Energy statistics, J. Stat. Plan. Inference 143(8), 2013): about 0 for sets of one kind.
        nearest_distance: (N,) that distance for each sample.
        nearest_image: (N,) int64, which training image is nearest.
    """

    samples: int
    reals: int
    pairwise: float
    pairwise_reals: float
    nearest: float
    nearest_reals: float
    energy: float
    nearest_distance: Tensor
    nearest_image: Tensor

    @property
    def pairwise_ratio(self) -> float:
        """1: as varied as the real images; 0: all samples are the same. NaN where the real images do not differ."""
        return self.pairwise / self.pairwise_reals if self.pairwise_reals > 0 else math.nan

    @property
    def nearest_ratio(self) -> float:
        """1: as far from the training images as these from each other; 0: copies."""
        return self.nearest / self.nearest_reals if self.nearest_reals > 0 else math.nan

    @property
    def gap(self) -> float:
        """The energy distance in units of the real images' mean distance: 0: of one kind with them; 1 and more: not."""
        return self.energy / self.pairwise_reals if self.pairwise_reals > 0 else math.nan

    def copies(self, below: float = FAIL_BELOW) -> float:
        """Share of the samples that are nearer to a training image than ``below`` times what real images are."""
        if not self.nearest_reals > 0:
            return math.nan
        return float((self.nearest_distance < below * self.nearest_reals).double().mean())


def compare(samples: Tensor, reals: Tensor, mirrored: Tensor, squared: bool = False) -> Diversity:
    """The statistics from vectors, of whatever distance.

    Args:
        samples: (N, D).
        reals: (M, D), the training images.
        mirrored: (M, D), the same, flipped left to right.
        squared: the distance of two images is the square of that of their vectors, as LPIPS is.

    Returns:
        Medians and not minima: a few near images are chance, and in small sets there are real twins.
    """

    def apart(a: Tensor, b: Tensor) -> Tensor:
        return distances(a, b).square() if squared else distances(a, b)

    def pairs(vectors: Tensor) -> float:
        count = len(vectors)
        return float(apart(vectors, vectors).sum() / (count * (count - 1))) if count > 1 else math.nan

    across = apart(samples, reals)
    nearest = torch.minimum(across, apart(samples, mirrored)).min(1)
    between = torch.minimum(apart(reals, reals), apart(reals, mirrored))
    between = between.masked_fill(torch.eye(len(reals), dtype=torch.bool, device=reals.device), math.inf)
    alone = len(reals) < 2
    here, there = pairs(samples), pairs(reals)
    return Diversity(
        samples=len(samples),
        reals=len(reals),
        pairwise=here,
        pairwise_reals=there,
        nearest=float(nearest.values.median()),
        nearest_reals=math.nan if alone else float(between.min(1).values.median()),
        energy=2 * float(across.mean()) - here - there,
        nearest_distance=nearest.values,
        nearest_image=nearest.indices,
    )


def diversity(samples: Tensor, reals: Tensor) -> Diversity:
    """The statistics of images with the distance of this module.

    Args:
        samples: RGB (N, 3, H, W), float in [0, 1] or uint8.
        reals: (M, 3, H', W'), the training images.

    >>> reals = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> same = diversity(reals[:1].expand(5, -1, -1, -1), reals)
    >>> same.pairwise_ratio, same.nearest_ratio, same.copies()
    (0.0, 0.0, 1.0)
    """
    side = pyramid_side(*samples.shape[-2:], *reals.shape[-2:])
    real_bands = octaves(reals, side)
    scale = pyramid_scale(real_bands, side)
    return compare(
        descriptors(octaves(samples, side), scale),
        descriptors(real_bands, scale),
        descriptors(octaves(reals.flip(-1), side), scale),
    )


def findings(
    found: Diversity,
    warn_below: float = WARN_BELOW,
    fail_below: float = FAIL_BELOW,
    far_above: float = FAR_ABOVE,
    gap_above: float = GAP_ABOVE,
) -> list[tuple[str, str]]:
    """What is suspicious, in words with the figures.

    Args:
        found: the statistics.
        warn_below: ratio to the real images below which a line is a ``warn``.
        fail_below: below which it is a ``fail``.
        far_above: ratio above which samples are unlike the training images, a ``warn``: nothing that is varied because
            it is noise is fine.
        gap_above: :attr:`Diversity.gap` above which samples are unlike the training images as a set, a ``warn``: so
            are those of a generator that has not learnt yet.

    Returns:
        (``warn`` or ``fail``, one line) for collapse and for memorisation, or for samples that are unlike the training
        images; empty where nothing is.
    """
    nearest = "a sample's distance to the nearest training image is"
    lines = []
    for ratio, what, here, there in (
        (found.pairwise_ratio, "mode collapse: two samples differ by", found.pairwise, found.pairwise_reals),
        (found.nearest_ratio, f"memorisation: {nearest}", found.nearest, found.nearest_reals),
    ):
        if ratio < warn_below:
            severe = ratio < fail_below
            limit = f"limit {fail_below if severe else warn_below:g}x"
            lines.append(("fail" if severe else "warn", _line(what, here, ratio, there, limit)))
    if found.nearest_ratio > far_above:
        line = _line(f"unlike the training images: {nearest}", found.nearest, found.nearest_ratio, found.nearest_reals,
                     f"limit {far_above:g}x")  # fmt: skip
        lines.append(("warn", line))
    elif not lines and found.gap > gap_above:  # a collapsed set is far from them too, and that is said already
        line = f"unlike the training images: as sets they are {found.energy:.3f} apart"
        lines.append(("warn", f"{line}, {found.gap:.2f}x the {found.pairwise_reals:.3f} between two real images "
                              f"(limit {gap_above:g}x; not learnt yet, or not enough)"))  # fmt: skip
    return lines


def _line(what: str, here: float, ratio: float, there: float, limit: str) -> str:
    return f"{what} {here:.3f}, {ratio:.2f}x the {there:.3f} of the real images ({limit})"
