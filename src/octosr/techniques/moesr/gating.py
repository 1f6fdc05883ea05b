"""Gating: the score of every setting of the grid, for many images at once.

A score is the mean square of the ISE map of an expert's image: small where expert and blur fit. The 85 settings are
25 networks on images turned in up to four ways, so each network runs once, on all images in all its turns; what is the
same for all experts (the bicubic image and its share of ISE's first convolution) is computed once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from octosr.cores import map_on_cores
from octosr.nn.crops import informative_crops
from octosr.techniques.moesr.bank import ExpertBank
from octosr.techniques.moesr.grid import EXPERTS, ExpertGrid
from octosr.techniques.moesr.network import SharpnessEvaluator, bicubic
from octosr.techniques.moesr.symmetry import stack_turned, swaps_sides, turn_back

NUMBERS = {"cpu": 2**19, "gpu": 2**28}
"""Numbers in the widest layer of what is computed at once (4 bytes each): what a CPU's cache holds, a GPU's memory."""


def settings_of_experts(grid: ExpertGrid) -> list[dict[int, int]]:
    """For each of the 25 networks, the place among the 85 scores of each symmetry it serves.

    Two settings can share network and symmetry only if they were the same kernel, so a dict it is.
    """
    found: list[dict[int, int]] = [{} for _ in EXPERTS]
    for place, setting in enumerate(grid.settings):
        found[setting.expert][setting.symmetry] = place
    return found


@torch.no_grad()
def gating_scores(
    bank: ExpertBank, evaluator: SharpnessEvaluator, lr: Tensor, crop: int | None = None, crops: int = 4
) -> Tensor:
    """The 85 scores of every image.

    Args:
        bank: the experts.
        evaluator: ISE.
        lr: float RGB in [0, 1], (B, 3, h, w), large enough that the HR image has 49 pixels a side.
        crop: score crops of this side in LR pixels in place of the whole image; None, or where they would be no
            smaller than it: the whole image.
        crops: how many crops an image, see :func:`~octosr.nn.crops.informative_crops`.

    Returns:
        (B, 85), in the published order.
    """
    # Single precision even in mixed-precision runs: what counts are small differences between scores.
    with torch.autocast(lr.device.type, enabled=False):
        return _scores(bank, evaluator, lr, crop, crops)


def _scores(bank: ExpertBank, evaluator: SharpnessEvaluator, lr: Tensor, crop: int | None, crops: int) -> Tensor:
    batch, pieces = len(lr), 1
    if crop is not None and min(lr.shape[-2:]) >= crop and crops * crop**2 < lr.shape[-2] * lr.shape[-1]:
        lr = informative_crops(lr, crop, crops).flatten(0, 1)
        pieces = crops
    judge = _Judge(evaluator, evaluator.prepare(bicubic(lr, bank.scale)), evaluator.last_two())
    places = settings_of_experts(ExpertGrid(bank.scale))
    jobs = _jobs(bank, places, lr)
    results = map_on_cores(lambda job: _score(bank, judge, lr, job), jobs, lr.device)
    scores = lr.new_empty(len(lr), sum(len(served) for served in places))
    for job, values in zip(jobs, results, strict=True):
        for n, expert in enumerate(job.experts):
            for m, symmetry in enumerate(job.symmetries):
                scores[job.images, places[expert][symmetry]] = values[n, m]
    return scores.unflatten(0, (batch, pieces)).mean(1)


class _Job(NamedTuple):
    """Some networks on some images in some turns, all of the same shape."""

    experts: list[int]
    symmetries: tuple[int, ...]
    images: slice


def _jobs(bank: ExpertBank, places: list[dict[int, int]], lr: Tensor) -> list[_Job]:
    """Share the work out: on a CPU a network each, on a GPU as many as fit; turns that change the shape run apart."""
    height, width = lr.shape[-2:]
    limit = NUMBERS["cpu" if lr.device.type == "cpu" else "gpu"]
    one = bank.features * bank.scale**2 * height * width  # numbers in the widest layer for one image in one turn
    kinds: dict[tuple[int, ...], list[int]] = {}
    for expert, served in enumerate(places):
        shapes = {swaps_sides(symmetry) and height != width for symmetry in served}
        for shape in sorted(shapes):
            part = tuple(s for s in served if (swaps_sides(s) and height != width) == shape)
            for turns in [part] if one * len(part) <= limit else [(s,) for s in part]:
                kinds.setdefault(turns, []).append(expert)
    jobs = []
    for turns, experts in kinds.items():
        images = max(1, min(len(lr), limit // (one * len(turns))))
        together = 1 if lr.device.type == "cpu" else max(1, limit // (one * len(turns) * images))
        jobs += [
            _Job(experts[n : n + together], turns, slice(first, first + images))
            for n in range(0, len(experts), together)
            for first in range(0, len(lr), images)
        ]
    return sorted(jobs, key=lambda job: -len(job.symmetries))  # the long ones first, so that the cores end together


class _Judge(NamedTuple):
    """ISE, and what of it is the same for all experts."""

    evaluator: SharpnessEvaluator
    prepared: Tensor
    tail: tuple[Tensor, Tensor]


def _score(bank: ExpertBank, judge: _Judge, lr: Tensor, job: _Job) -> Tensor:
    """Scores (experts, symmetries, images) of a job."""
    lr, prepared = lr[job.images], judge.prepared[job.images]
    turned = stack_turned(lr, job.symmetries)
    enlarged = bank.stack(job.experts).enlarge(turned[None])[-1]
    parts = enlarged.unflatten(1, (len(job.symmetries), len(lr)))
    restored = torch.stack([turn_back(parts[:, m], symmetry) for m, symmetry in enumerate(job.symmetries)], 1)
    delta = judge.evaluator.judge(restored.flatten(0, 2), prepared, judge.tail)
    return delta.square().mean((1, 2, 3)).unflatten(0, restored.shape[:3])
