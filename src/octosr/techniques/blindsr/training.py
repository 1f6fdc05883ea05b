"""The two trainings of BlindSR.

* Generator: L1 between what it makes for the true kernel and the HR image.
* Discriminator, the generator at rest: for a wrong kernel it has to say what the generator's image differs by from the
  one for the true kernel (not from the HR image: errors that no kernel can mend are none of its business), and for the
  true kernel that there is no error; L1, weighted 0.9 and 0.1.

So far the public code. Ours on top: a share of the wrong kernels are nearly right (``near_share``), since two random
ones teach little about the neighbourhood of the truth, where the search ends; a share of the images have several
kernels (``mosaic``); and LR images have 8 bits, as at test time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.degradation.random import SampleRandom
from octosr.degradation.rounding import quantise
from octosr.nn.precision import at_least_single
from octosr.techniques.blindsr.mosaic import Blur, choose, draw_blur, perturb
from octosr.techniques.blindsr.network import Generated
from octosr.techniques.blindsr.stage import BlindSRStage

WRONG_WEIGHT, TRUE_WEIGHT = 0.9, 0.1


@dataclass(frozen=True)
class Drawing:
    """How blurs are drawn in training.

    Attributes:
        seed: of all of them.
        mosaic: share of the images with several kernels.
        near_share: share of the wrong kernels that are nearly right.
        near: how nearly, see ``mosaic.perturb``.
    """

    seed: int = 0
    mosaic: float = 0.0
    near_share: float = 0.0
    near: float = 0.1


@dataclass(frozen=True)
class Pairs:
    """Training pairs: ``lr`` (B, 3, h, w), ``enlarged`` and ``hr`` (B, 3, s*h, s*w), and the ``blur`` between them."""

    lr: Tensor
    enlarged: Tensor
    hr: Tensor
    blur: Blur


@torch.no_grad()
def make_pairs(stage: BlindSRStage, hr: Tensor, sample_ids: Tensor, drawing: Drawing) -> Pairs:
    """Degrade HR images (B, 3, H, W), sides divisible by the scale, with random blurs."""
    space = stage.space
    with torch.autocast(hr.device.type, enabled=False):
        inside = space.inside(hr)
        size = (inside.shape[-2] // space.scale, inside.shape[-1] // space.scale)
        blur = draw_blur(space, drawing.seed, sample_ids.to(hr.device), drawing.mosaic, size)
        lr = blur.apply(space, hr)
        if space.aligned:
            lr = quantise(lr)
            return Pairs(lr, stage.enlarge(lr), inside, blur)
        # The public code enlarges an 8-bit copy, cut off and not rounded, and gives the network the unrounded image.
        return Pairs(lr, stage.enlarge(lr.clamp(0, 1).mul(255).floor().div(255)), inside, blur)


def encode(stage: BlindSRStage, blur: Blur) -> Tensor:
    """Codes of a blur, (B, C) or (B, C, h, w); kernels are made in double precision."""
    return blur.codes(stage.encode(blur.parameters))


def generate(stage: BlindSRStage, pairs: Pairs, blur: Blur) -> Generated:
    """What the generator makes of LR images for a blur."""
    return stage.generator(pairs.lr, pairs.enlarged, encode(stage, blur))


def generator_loss(stage: BlindSRStage, hr: Tensor, sample_ids: Tensor, drawing: Drawing) -> Tensor:
    """L1 of the generator, given the true blur, on (B, 3, H, W)."""
    pairs = make_pairs(stage, hr, sample_ids, drawing)
    return F.l1_loss(at_least_single(generate(stage, pairs, pairs.blur).sr), pairs.hr)


def wrong_blur(stage: BlindSRStage, pairs: Pairs, sample_ids: Tensor, drawing: Drawing) -> Blur:
    """Blurs to blame the generator's errors on: others, or nearly the true ones."""
    space, ids = stage.space, sample_ids.to(pairs.lr.device)
    height, width = pairs.lr.shape[-2:]
    other = draw_blur(space, drawing.seed, ids, drawing.mosaic, (height, width), "wrong")
    if not drawing.near_share:
        return other
    near = perturb(space, pairs.blur, drawing.seed, ids, drawing.near)
    nearly = SampleRandom(drawing.seed).uniform(ids, f"blindsr/x{space.scale}/nearly") < drawing.near_share
    return choose(nearly, near, other)


def discriminator_losses(
    stage: BlindSRStage, hr: Tensor, sample_ids: Tensor, drawing: Drawing
) -> tuple[Tensor, Tensor]:
    """The two L1 losses of the discriminator on (B, 3, H, W): for a wrong blur, and for the true one."""
    pairs = make_pairs(stage, hr, sample_ids, drawing)
    wrong = wrong_blur(stage, pairs, sample_ids, drawing)
    with torch.no_grad():
        both = torch.cat((encode(stage, wrong), encode(stage, pairs.blur)))
        lr, enlarged = (torch.cat((part, part)) for part in (pairs.lr, pairs.enlarged))
        made = stage.generator(lr, enlarged, both)
        of_wrong, of_true = at_least_single(made.sr).chunk(2)
    found = at_least_single(stage.discriminator(lr, made.features, made.codes))
    for_wrong, for_true = found.chunk(2)
    return F.l1_loss(for_wrong, of_wrong - of_true), for_true.abs().mean()


def discriminator_loss(losses: tuple[Tensor, Tensor]) -> Tensor:
    """The weighted sum of :func:`discriminator_losses`."""
    return WRONG_WEIGHT * losses[0] + TRUE_WEIGHT * losses[1]
