"""Which images are held out for validation: a property of the image's name, not of the seed or of chance."""

from __future__ import annotations

from collections.abc import Sequence

from octosr.data.hashing import unit_hash
from octosr.errors import ConfigError


def hold_out(keys: Sequence[str], fraction: float, maximum: int) -> tuple[list[int], list[int]]:
    """Split images into training and validation.

    An image is held out where the hash of its name is below ``fraction``, so that adding images never moves another
    one from training to validation, whatever else is there; of more than ``maximum`` those with the smallest hashes
    are held out. At least one is held out, and at least one is left to train on (with so few images that this rule
    decides, adding one may move another).

    Args:
        keys: one name an image, unique.
        fraction: expected share of held-out images, in (0, 1).
        maximum: at most so many are held out.

    Returns:
        Positions of the training images and of the held-out ones, each in the order of ``keys``.

    Raises:
        ConfigError: fewer than two images.
    """
    if len(keys) < 2:
        raise ConfigError(
            f"Training needs at least 2 images, one of them to validate on; there is {len(keys)}. "
            "Add images, or train on another folder with data.source=hr_root data.hr_root=FOLDER."
        )
    ranked = sorted(range(len(keys)), key=lambda number: (unit_hash(keys[number]), keys[number]))
    below = sum(unit_hash(key) < fraction for key in keys)
    count = min(max(below, 1), maximum, len(keys) - 1)
    held = set(ranked[:count])
    return [n for n in range(len(keys)) if n not in held], sorted(held)
