"""From decoded images to what training and validation draw from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from octosr.data.bank import ImageBank
from octosr.data.crops import centre_crops
from octosr.data.encode import to_uint8
from octosr.data.split import hold_out
from octosr.errors import ConfigError

LARGEST_VALIDATION_SIDE = 256


@dataclass(frozen=True)
class TrainingImages:
    """What training and validation draw from.

    Attributes:
        bank: the images to train on, none of them held out.
        patch: side of the training crops.
        validation: (N, 3, V, V) uint8, the centre crops of the held-out images.
        held_out: the files of those.
    """

    bank: ImageBank
    patch: int
    validation: Tensor
    held_out: tuple[Path, ...]


def too_small(bank: ImageBank, least: int) -> list[tuple[str, str]]:
    """(file, reason) of the images with a side below ``least`` pixels."""
    reason = "the image is {}x{}, too small to train on: {} pixels a side are needed"
    return [
        (str(path), reason.format(*bank.size(number)[::-1], least))
        for number, path in enumerate(bank.paths)
        if min(bank.size(number)) < least
    ]


def prepare_training(
    bank: ImageBank,
    keys: Mapping[Path, str],
    held_out: ImageBank | None,
    *,
    patch: int,
    validation_size: int | None,
    fraction: float,
    maximum: int,
    scale: int,
    say: Callable[[str], None],
) -> TrainingImages:
    """Split, and settle the sizes of the crops; images below ``2 * scale`` pixels a side are left out.

    Args:
        bank: images to train on.
        keys: the name of each file, for the split.
        held_out: images to validate on; None to hold out some of ``bank``.
        patch: side of the training crops that is asked for, a multiple of ``scale``.
        validation_size: side of the validation crops that is asked for; None for the largest up to 256.
        fraction: see :func:`octosr.data.split.hold_out`.
        maximum: at most so many images are held out.
        scale: the whole upscaling factor.
        say: takes one line a decision.

    Raises:
        ConfigError: too few images.
    """
    bank = _large_enough(bank, 2 * scale)
    if held_out is None:
        train, held = hold_out([keys[path] for path in bank.paths], fraction, maximum)
        bank, held_out = bank.subset(train), bank.subset(held)
    else:
        held_out = _large_enough(held_out, 2 * scale)
        count = min(maximum, len(held_out))
        # In order of names, so evenly spaced ones are of all kinds (the demo set's names begin with the domain).
        held_out = held_out.subset([number * len(held_out) // count for number in range(count)])
    if not len(bank) or not len(held_out):
        raise ConfigError("No image is left to train on, or none to validate on.")
    patch = _fit(patch, bank, scale, "training crops", say)
    side = _fit(validation_size or LARGEST_VALIDATION_SIDE, held_out, scale, "validation crops",
                say if validation_size else lambda line: None)  # fmt: skip
    say(f"training on {len(bank)} images, validating on {len(held_out)} others")
    return TrainingImages(bank, patch, to_uint8(centre_crops(held_out, side)), held_out.paths)


def _large_enough(bank: ImageBank, least: int) -> ImageBank:
    numbers = [number for number, side in enumerate(bank.smaller_sides()) if side >= least]
    return bank if len(numbers) == len(bank) else bank.subset(numbers)


def _fit(side: int, bank: ImageBank, scale: int, what: str, say: Callable[[str], None]) -> int:
    """The side that was asked for, or the largest multiple of ``scale`` that every image has."""
    sides = bank.smaller_sides()
    smallest = min(sides)
    if side <= smallest:
        return side
    fitting = smallest // scale * scale
    say(
        f"{what} are {fitting}x{fitting} instead of {side}x{side}: "
        f"{bank.paths[sides.index(smallest)].name} is only {smallest} pixels small"
    )
    return fitting
