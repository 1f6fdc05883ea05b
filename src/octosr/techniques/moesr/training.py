"""The three trainings of MoESR. None is published: experts, ISE's target, KEN's loss and all schedules are ours.

* Experts: each learns to undo its own blur, L1, every x2 level against the image it should have made.
* ISE: for a random blur and a random expert, the signed difference in sharpness between the expert's image and the HR
  image. Sharpness is the Sobel magnitude, averaged over the field that a value of the map sees. The abstract speaks
  of "evaluating sharpness"; the public code squares and averages the map. ``error`` in place of ``sharpness`` asks ISE
  for the mean absolute error instead.
* KEN: pairs of 85 scores and the blur that made them are collected in a bank as training goes on; the loss compares
  the square roots of covariances, which has no seam at theta = 0 and no say about the angle of a round kernel.
"""

from __future__ import annotations

import copy
import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.degradation.aligned import strided_blur, trim
from octosr.degradation.random import SampleRandom
from octosr.degradation.rounding import quantise
from octosr.techniques.moesr.gating import gating_scores
from octosr.techniques.moesr.grid import SETTINGS, THETAS, variance_factor
from octosr.techniques.moesr.kernel_estimator import SETTINGS_COUNT as SCORES
from octosr.techniques.moesr.kernel_estimator import root_covariances
from octosr.techniques.moesr.network import bicubic
from octosr.techniques.moesr.sharpness import ISE_FIELD, ISE_STRIDE
from octosr.techniques.moesr.stage import MoESRStage

IseTarget = Literal["sharpness", "error"]


def sobel_magnitude(images: Tensor) -> Tensor:
    """``sqrt(gx^2 + gy^2)`` of each channel with the filters +-1, +-2, +-1 and zero padding; (B, C, H, W)."""
    line = torch.tensor([1.0, 2.0, 1.0], dtype=images.dtype, device=images.device)
    step = torch.tensor([-1.0, 0.0, 1.0], dtype=images.dtype, device=images.device)
    filters = torch.stack((line[:, None] * step, step[:, None] * line))[:, None]
    gradients = F.conv2d(images.flatten(0, 1)[:, None], filters, padding=1)
    return gradients.square().sum(1).sqrt().view_as(images)


def expert_losses(stage: MoESRStage, hr: Tensor, experts: list[int]) -> Tensor:
    """L1 of some experts, each on the same HR images reduced with its own kernel.

    Args:
        stage: whose experts.
        hr: (B, 3, P, P) in [0, 1], P a multiple of the scale.
        experts: their numbers.

    Returns:
        One value an expert, the mean over the levels.
    """
    parameters = stage.grid.expert_parameters[experts].to(hr.device)

    def reduce(levels_done: int) -> Tensor:
        """(experts, B, 3, h, w)"""
        kernels = stage.kernels(parameters, levels_done).to(hr.dtype)
        shrunk = F.conv2d(hr.flatten(0, 1)[:, None], kernels[:, None], stride=stage.scale >> levels_done)
        return shrunk.unflatten(0, hr.shape[:2]).permute(2, 0, 1, 3, 4)

    with torch.no_grad(), torch.autocast(hr.device.type, enabled=False):
        lr = quantise(reduce(0))
        targets = [reduce(level) for level in range(1, stage.bank.levels)] + [hr[None]]
    made = stage.bank.stack(experts).enlarge(lr)
    levels = [
        (image - trim(target, image)).abs().mean((1, 2, 3, 4)) for image, target in zip(made, targets, strict=True)
    ]
    return torch.stack(levels).mean(0)


def random_degradation(stage: MoESRStage, hr: Tensor, seed: int, sample_ids: Tensor) -> tuple[Tensor, Tensor]:
    """8-bit LR images (B, 3, h, w) and the kernels (B, 3) that made them."""
    parameters = stage.random_parameters(seed, sample_ids)
    return quantise(strided_blur(hr, stage.kernels(parameters), stage.scale)), parameters


def ise_loss(stage: MoESRStage, hr: Tensor, seed: int, sample_ids: Tensor, settings: int, target: IseTarget) -> Tensor:
    """L1 between the map of ISE and what it should say of random experts.

    Args:
        stage: whose ISE; the experts are not changed.
        hr: (B, 3, P, P).
        seed, sample_ids: of all randomness.
        settings: experts tried on every LR image.
        target: see the module.
    """
    with torch.no_grad(), torch.autocast(hr.device.type, enabled=False):
        lr, _ = random_degradation(stage, hr, seed, sample_ids)
        drawn = SampleRandom(seed).uniform(sample_ids, f"moesr/x{stage.scale}/setting", (settings,))
        places = (drawn * len(SETTINGS)).long().cpu().T.flatten()
        stack = stage.bank.turned_stack(stage.grid.experts[places], stage.grid.symmetries[places])
        sr = stack.enlarge(lr.repeat(settings, 1, 1, 1)[:, None])[-1][:, 0]
        truth = trim(hr, sr).repeat(settings, 1, 1, 1)
        wanted = ise_target(sr, truth, target)
    found = stage.evaluator.judge(sr, stage.evaluator.prepare(bicubic(lr, stage.scale)))
    return F.l1_loss(found, wanted)


def ise_target(sr: Tensor, hr: Tensor, target: IseTarget) -> Tensor:
    """What the map should be, (B, 1, h, w): positive where ``sr`` is too sharp."""
    difference = sobel_magnitude(sr) - sobel_magnitude(hr) if target == "sharpness" else (sr - hr).abs()
    return F.avg_pool2d(difference.mean(1, keepdim=True), ISE_FIELD, ISE_STRIDE)


class PairBank:
    """Pairs (85 scores, kernel) of one stage, the newest ones up to a number.

    Args:
        capacity: how many pairs are kept.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.scores = torch.empty(0, SCORES)
        self.parameters = torch.empty(0, 3, dtype=torch.float64)

    def __len__(self) -> int:
        return len(self.scores)

    def add(self, scores: Tensor, parameters: Tensor) -> None:
        """Add pairs (B, 85) and (B, 3); the oldest make room."""
        self.scores = torch.cat((self.scores.to(scores.dtype), scores.cpu()))[-self.capacity :]
        self.parameters = torch.cat((self.parameters, parameters.double().cpu()))[-self.capacity :]

    def draw(self, count: int, seed: int, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Random pairs, each in one of four turns: a turned image has turned blur and permuted scores."""
        ids = torch.arange(count) + step * count
        random = SampleRandom(seed)
        chosen = (random.uniform(ids, "moesr/pair") * len(self)).long()
        turn = (random.uniform(ids, "moesr/turn") * 4).long()
        scores, parameters = self.scores[chosen], self.parameters[chosen].clone()
        scores = scores.gather(1, TURNED_SETTINGS[turn])
        theta = parameters[:, 2]
        parameters[:, 2] = torch.where(turn % 2 == 1, -theta, theta) + torch.where(turn > 1, torch.pi / 2, 0.0)
        return scores.to(device), parameters.to(device)

    def state_dict(self) -> dict[str, Tensor]:
        """The pairs."""
        return {"scores": self.scores, "parameters": self.parameters}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with saved pairs."""
        self.scores, self.parameters = state["scores"], state["parameters"]


def _turned_settings() -> Tensor:
    """(4, 85): for the turns theta, -theta, theta + pi/2 and pi/2 - theta, which score takes each place."""
    places = {(i, j, round(t / (math.pi / 16))): n for n, (i, j, t, _, _) in enumerate(SETTINGS)}
    rows = []
    for sign, shift in ((1, 0), (-1, 0), (1, 8), (-1, 8)):
        row = [0] * len(SETTINGS)
        for n, (i, j, theta, _, _) in enumerate(SETTINGS):
            step = round(theta / (math.pi / 16))
            turned = places[i, j, (sign * step + shift) % 16] if theta in THETAS else n
            row[turned] = n  # the score of the setting that is turned into this place
        rows.append(row)
    return torch.tensor(rows)


TURNED_SETTINGS = _turned_settings()


@torch.no_grad()
def collect_pairs(
    stage: MoESRStage, hr: Tensor, seed: int, sample_ids: Tensor, double: bool = False
) -> tuple[Tensor, Tensor]:
    """Scores (B, 85) of randomly degraded images and their kernels (B, 3).

    Args:
        stage: whose experts and ISE judge.
        hr: (B, 3, P, P).
        seed, sample_ids: of all randomness.
        double: judge in 64-bit floats. KEN sees only how scores differ between the settings. Experts that have learned
            little differ by as little as 1e-5 of a score, where 32 bits leave two digits, which change with the number
            of images at a time; in 64 bits KEN learns the same however images are shared out to processes.
    """
    bank, evaluator = stage.bank, stage.evaluator
    if double:
        bank, evaluator, hr = copy.deepcopy(bank).double(), copy.deepcopy(evaluator).double(), hr.double()
    lr, parameters = random_degradation(stage, hr, seed, sample_ids)
    return gating_scores(bank, evaluator, lr), parameters


def ken_loss(stage: MoESRStage, scores: Tensor, parameters: Tensor) -> Tensor:
    """Mean squared Frobenius distance of the square roots of the covariances, in x2 pixels squared."""
    unit = variance_factor(stage.scale)
    scaled = torch.cat((parameters[:, :2] / unit, parameters[:, 2:]), 1)
    with torch.autocast(scores.device.type, enabled=False):
        found = stage.estimator.root_covariance(scores)
        return (found - root_covariances(scaled).to(found.dtype)).square().sum((1, 2)).mean()
