"""All images of a dataset decoded once and kept as 8-bit pixels in one flat tensor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from octosr.data.decode import MAX_PIXELS, Header, UnreadableImage, decode, read_header
from octosr.data.encode import to_uint8
from octosr.data.memory import check_memory
from octosr.data.threads import for_each_file


@dataclass(frozen=True)
class ImageBank:
    """Images of any sizes in one tensor, so that a batch of crops is one indexing operation.

    Attributes:
        paths: the N files.
        pixels: (P, 3) uint8, the pixels of all images row by row.
        starts: (N,) int64, position in ``pixels`` of each image's first pixel.
        heights: (N,) int64.
        widths: (N,) int64.
        deep: the float32 pixels (H, W, 3) of images with more than 8 bits, by position, where they were asked for.
        problems: (file, reason) of those that could not be decoded; they are not among ``paths``.
    """

    paths: tuple[Path, ...]
    pixels: Tensor
    starts: Tensor
    heights: Tensor
    widths: Tensor
    deep: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def nbytes(self) -> int:
        """Bytes that the pixels take."""
        return self.pixels.numel()

    def size(self, number: int) -> tuple[int, int]:
        """Height and width of one image."""
        return int(self.heights[number]), int(self.widths[number])

    def smaller_sides(self) -> list[int]:
        """The smaller side of each image."""
        return torch.minimum(self.heights, self.widths).tolist()

    def image(self, number: int) -> Tensor:
        """One image, (H, W, 3): uint8, a view; or float32 in [0, 1] where it is deep."""
        if number in self.deep:
            return torch.from_numpy(self.deep[number])
        height, width = self.size(number)
        start = int(self.starts[number])
        return self.pixels[start : start + height * width].view(height, width, 3)

    def subset(self, numbers: Sequence[int]) -> ImageBank:
        """Some of the images, sharing the pixels."""
        chosen = torch.tensor(list(numbers), dtype=torch.int64)
        return replace(
            self,
            paths=tuple(self.paths[number] for number in numbers),
            starts=self.starts[chosen],
            heights=self.heights[chosen],
            widths=self.widths[chosen],
            deep={new: self.deep[old] for new, old in enumerate(numbers) if old in self.deep},
        )

    def to(self, device: torch.device) -> ImageBank:
        """The bank with all its tensors on a device."""
        tensors = {name: getattr(self, name).to(device) for name in ("pixels", "starts", "heights", "widths")}
        return replace(self, **tensors)


def load_bank(
    paths: Sequence[Path],
    *,
    keep_deep: bool = False,
    max_pixels: int = MAX_PIXELS,
    processes: int = 1,
    remedy: str = "Use fewer or smaller images.",
) -> ImageBank:
    """Decode files, each once, in a few threads.

    Args:
        paths: the files.
        keep_deep: keep also the unrounded pixels of images with more than 8 bits.
        max_pixels: see :func:`octosr.data.decode.decode`.
        processes: how many processes on this machine load the same images.
        remedy: what to do if they do not fit in memory.

    Returns:
        The images that could be decoded, in the order of ``paths``; the others are in ``problems``.

    Raises:
        ConfigError: they do not fit in memory; found from the headers, before anything is decoded.
    """
    headers = for_each_file(lambda path: read_header(path, max_pixels), paths, "looking at images")
    counts = [h.height * h.width if isinstance(h, Header) else 0 for h in headers]
    deep = sum(n for n, h in zip(counts, headers, strict=True) if isinstance(h, Header) and h.deep and keep_deep)
    folder = os.path.commonpath([path.parent for path in paths]) if paths else ""
    check_memory((3 * sum(counts) + 12 * deep) * processes, f"The {len(paths)} images in {folder}", remedy)

    pixels = torch.empty((sum(counts), 3), dtype=torch.uint8)
    starts = [0, *np.cumsum(counts, dtype=np.int64).tolist()][: len(paths)]
    place = dict(zip(paths, zip(headers, starts, counts, strict=True), strict=True))

    def fill(path: Path) -> tuple[int, int, npt.NDArray[np.float32] | None]:
        header, start, count = place[path]
        if isinstance(header, UnreadableImage):
            raise header
        image = decode(path, max_pixels)
        height, width, _ = image.shape
        if height * width != count:
            raise UnreadableImage(path, "its header and its pixels disagree about the size")
        flat = torch.from_numpy(image).view(-1, 3)
        pixels[start : start + count] = flat if flat.dtype == torch.uint8 else to_uint8(flat)
        unrounded = image.astype(np.float32, copy=False) if keep_deep and image.dtype != np.uint8 else None
        return height, width, unrounded

    results = for_each_file(fill, paths, "decoding images")
    good = [(path, r) for path, r in zip(paths, results, strict=True) if not isinstance(r, UnreadableImage)]
    return ImageBank(
        paths=tuple(path for path, _ in good),
        pixels=pixels,
        starts=torch.tensor([place[path][1] for path, _ in good], dtype=torch.int64),
        heights=torch.tensor([result[0] for _, result in good], dtype=torch.int64),
        widths=torch.tensor([result[1] for _, result in good], dtype=torch.int64),
        deep={number: result[2] for number, (_, result) in enumerate(good) if result[2] is not None},
        problems=tuple((str(r.path), r.reason) for r in results if isinstance(r, UnreadableImage)),
    )
