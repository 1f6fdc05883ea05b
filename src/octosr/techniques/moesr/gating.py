"""Gating: the score of every setting of the grid, for many images at once.

A score is the mean square of the ISE map of an expert's image: small where expert and blur fit. The 85 settings are
25 networks on images turned in up to four ways, so each network runs once, on all images in all its turns; what is the
same for all experts (the bicubic image and its share of ISE's first convolution) is computed once. On CPUs with tile
registers (:mod:`octosr.nn.amx`) scores have an error of some 1e-5, unless the bank's ``winograd`` is off.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from octosr.cores import map_on_cores
from octosr.nn.crops import informative_crops
from octosr.techniques.moesr.bank import ExpertBank
from octosr.techniques.moesr.grid import EXPERTS, ExpertGrid
from octosr.techniques.moesr.judge import Judge
from octosr.techniques.moesr.network import bicubic
from octosr.techniques.moesr.sharpness import SharpnessEvaluator
from octosr.techniques.moesr.symmetry import stack_turned, swaps_sides, turn_back

NETWORKS_A_CORE = 3
"""With fewer networks for each core than this, cores share networks out by turns and images."""
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
    judge = Judge(evaluator, bicubic(lr, bank.scale), bank.winograd)
    places = settings_of_experts(ExpertGrid(bank.scale))
    batches = _batches(_jobs(bank, places, lr), lr.device)
    doubled = bicubic(lr, 2)
    results = map_on_cores(lambda jobs: _score(bank, judge, doubled, jobs), batches, lr.device)
    scores = lr.new_empty(len(lr), sum(len(served) for served in places))
    for job, values in zip(chain.from_iterable(batches), chain.from_iterable(results), strict=True):
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
    return jobs


def _batches(jobs: list[_Job], device: torch.device) -> list[list[_Job]]:
    """What one core does: on a CPU all jobs of a network, so that its filters are transformed once, where all cores
    then have some; a job elsewhere. The long ones first, so that the cores end together."""
    if device.type == "cpu" and len(EXPERTS) >= NETWORKS_A_CORE * torch.get_num_threads():
        of_network: dict[int, list[_Job]] = {}
        for job in jobs:
            of_network.setdefault(job.experts[0], []).append(job)
        batches = list(of_network.values())
    else:
        batches = [[job] for job in jobs]
    return sorted(batches, key=lambda batch: -sum(len(job.symmetries) for job in batch))


def _score(bank: ExpertBank, judge: Judge, doubled: Tensor, jobs: list[_Job]) -> list[Tensor]:
    """Scores (experts, symmetries, images) of each of some jobs of the same networks."""
    turned = [stack_turned(doubled[job.images], job.symmetries)[None] for job in jobs]
    enlarged = bank.stack(jobs[0].experts).improve_all(turned, coarse=True)[-1]
    found = []
    for job, made in zip(jobs, enlarged, strict=True):
        parts = made.unflatten(1, (len(job.symmetries), len(doubled[job.images])))
        restored = torch.stack([turn_back(parts[:, m], symmetry) for m, symmetry in enumerate(job.symmetries)], 1)
        delta = judge(restored.flatten(0, 2), job.images)
        found.append(delta.square().mean((1, 2, 3)).unflatten(0, restored.shape[:3]))
    return found
