"""Whole images for the generative techniques: brought to one size once, then drawn in reshuffled orders.

The order of epoch e is a permutation that depends on (seed, e) alone, and sample s shows image ``s mod N`` of epoch
``s div N``: every image is shown once before any is shown again, and a resumed run, or one with more processes, goes
on in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from octosr.data.bank import ImageBank
from octosr.data.hashing import random_integers
from octosr.data.memory import check_memory
from octosr.data.threads import for_each_file
from octosr.errors import ConfigError, nearest

_FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}
_ORDER, _FLIP = 16, 17  # streams of their own beside those of the crops


@dataclass(frozen=True)
class WholeSettings:
    """How whole images are prepared.

    Attributes:
        side: R, of the square images.
        filter: ``lanczos``, ``bicubic`` or ``bilinear``, as Pillow has them (widened where an image is reduced).
        flip: mirror each image left to right half of the time.

    Raises:
        ConfigError: an unknown filter.
    """

    side: int
    filter: str = "lanczos"
    flip: bool = True

    def __post_init__(self) -> None:
        if self.filter not in _FILTERS:
            hint = nearest(self.filter, tuple(_FILTERS))
            raise ConfigError(f"technique.enlarge must be one of {', '.join(_FILTERS)}, not {self.filter!r}.{hint}")


@dataclass(frozen=True)
class WholeImages:
    """All images of a dataset at one size.

    Attributes:
        pixels: (N, 3, R, R) uint8.
        flip: whether they are mirrored half of the time.
    """

    pixels: Tensor
    flip: bool

    @property
    def nbytes(self) -> int:
        """Bytes that the pixels take."""
        return self.pixels.numel()

    def to(self, device: torch.device) -> WholeImages:
        """The images on a device."""
        return WholeImages(self.pixels.to(device), self.flip)

    def draw(self, seed: int, first: int, count: int) -> tuple[Tensor, Tensor]:
        """The samples ``first`` .. ``first + count - 1``.

        Returns:
            ``hr`` (count, 3, R, R) float32 in [0, 1] and ``sample_id`` (count,) int64, on the images' device.
        """
        device = self.pixels.device
        sample_ids = torch.arange(first, first + count, dtype=torch.int64, device=device)
        images = self.pixels[image_numbers(len(self.pixels), seed, first, count).to(device)]
        if self.flip:
            mirrored = random_integers(seed, sample_ids, _FLIP, 2).bool()
            images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
        return images.to(torch.float32).div_(255), sample_ids


def image_numbers(total: int, seed: int, first: int, count: int) -> Tensor:
    """Which of ``total`` images each of ``count`` samples shows, (count,) int64 on the CPU."""
    epochs = range(first // total, (first + count - 1) // total + 1)
    start = first % total
    return torch.cat([_order(total, seed, epoch) for epoch in epochs])[start : start + count]


@lru_cache(maxsize=4)
def _order(total: int, seed: int, epoch: int) -> Tensor:
    ids = torch.arange(epoch * total, (epoch + 1) * total, dtype=torch.int64)
    return torch.argsort(random_integers(seed, ids, _ORDER, 2**31 - 1), stable=True)


def prepare_whole(bank: ImageBank, settings: WholeSettings, processes: int = 1) -> WholeImages:
    """Cut every image to its central square and bring it to R x R; images of that size stay as they are.

    Args:
        bank: images of any sizes.
        settings: the size and the filter.
        processes: how many processes on this machine hold the same images.

    Raises:
        ConfigError: no images, or they do not fit in memory.
    """
    if not len(bank):
        raise ConfigError("No image is left to train on.")
    side = settings.side
    remedy = "Train on fewer images, or at a smaller technique.resolution."
    check_memory(3 * side * side * len(bank) * processes, f"{len(bank)} images of {side}x{side}", remedy)
    pixels = torch.empty((len(bank), 3, side, side), dtype=torch.uint8)
    places = {path: number for number, path in enumerate(bank.paths)}

    def fill(path: Path) -> None:
        number = places[path]
        pixels[number] = torch.from_numpy(square(_eight_bit(bank, number), side, settings.filter)).permute(2, 0, 1)

    for_each_file(fill, bank.paths, f"bringing images to {side}x{side}")
    return WholeImages(pixels, settings.flip)


def square(image: npt.NDArray[np.uint8], side: int, filter: str) -> npt.NDArray[np.uint8]:
    """The central square of an 8-bit image (H, W, 3) at ``side`` x ``side``, resampled by Pillow.

    >>> square(np.zeros((4, 6, 3), np.uint8), 8, "lanczos").shape
    (8, 8, 3)
    """
    height, width, _ = image.shape
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    cut = np.ascontiguousarray(image[top : top + least, left : left + least])
    if least == side:
        return cut
    return np.array(Image.fromarray(cut).resize((side, side), _FILTERS[filter]))


def _eight_bit(bank: ImageBank, number: int) -> npt.NDArray[np.uint8]:
    height, width = bank.size(number)
    start = int(bank.starts[number])
    return bank.pixels[start : start + height * width].view(height, width, 3).numpy()
