"""Files of estimated blur kernels beside HR images: ``NAME.kernel.npy`` (the numbers) and ``NAME.kernel.png``.

Where the kernel varies over the image these two have the mean, and ``NAME.kernels.npy`` and ``NAME.kernels.png`` the
kernels of all cells.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.atomic import write_bytes
from octosr.data.encode import write_png

SUFFIX = ".kernel"
MAP_SUFFIX = ".kernels"
LEAST_PICTURE_SIDE = 160
LARGEST_PICTURE_SIDE = 2048


def kernel_paths(image: Path) -> tuple[Path, Path]:
    """Where the numbers and the picture of the kernel of an HR image lie.

    >>> [path.name for path in kernel_paths(Path("hr/moesr/isaid/P1.png"))]
    ['P1.kernel.npy', 'P1.kernel.png']
    """
    return image.with_name(f"{image.stem}{SUFFIX}.npy"), image.with_name(f"{image.stem}{SUFFIX}.png")


def write_kernel(image: Path, kernel: Tensor) -> None:
    """Write the kernel that an HR image's LR image was found to have been made with, each file atomically.

    The picture has black for 0, white for the largest tap, and whole squares for taps. Kernels of cells that an earlier
    run may have left are removed.

    Args:
        image: path of the HR image.
        kernel: (K, K), unit sum, in HR pixels; stored as float32.

    Raises:
        ValueError: not a finite (K, K) tensor.
    """
    taps = kernel.detach().float().cpu()
    if taps.ndim != 2 or taps.shape[0] != taps.shape[1] or not torch.isfinite(taps).all():
        raise ValueError(f"a finite kernel (K, K) expected for {image}, got {tuple(taps.shape)}")
    for old in kernel_map_paths(image):
        old.unlink(missing_ok=True)
    numbers, picture = kernel_paths(image)
    _write_numbers(numbers, taps)
    square = -(-LEAST_PICTURE_SIDE // len(taps))
    shown = (taps / taps.max().clamp_min(1e-12)).clamp(0, 1)
    shown = shown.repeat_interleave(square, 0).repeat_interleave(square, 1)
    write_png(picture, shown.expand(3, *shown.shape))


def kernel_map_paths(image: Path) -> tuple[Path, Path]:
    """Where the numbers and the picture of the kernels of all cells lie.

    >>> [path.name for path in kernel_map_paths(Path("hr/blindsr/isaid/P1.png"))]
    ['P1.kernels.npy', 'P1.kernels.png']
    """
    return image.with_name(f"{image.stem}{MAP_SUFFIX}.npy"), image.with_name(f"{image.stem}{MAP_SUFFIX}.png")


def write_kernel_map(image: Path, kernels: Tensor) -> None:
    """Write the kernels of the cells of an image, each file atomically.

    The picture has them where their cells are in the image, all to the same white, gray lines between them; where it
    would be too large, every second or third cell and so on.

    Args:
        image: path of the HR image.
        kernels: (gy, gx, K, K), each of unit sum, in HR pixels; stored as float32.

    Raises:
        ValueError: not a finite (gy, gx, K, K) tensor.
    """
    taps = kernels.detach().float().cpu()
    if taps.ndim != 4 or taps.shape[2] != taps.shape[3] or not torch.isfinite(taps).all():
        raise ValueError(f"finite kernels (gy, gx, K, K) expected for {image}, got {tuple(taps.shape)}")
    numbers, picture = kernel_map_paths(image)
    _write_numbers(numbers, taps)
    tile = taps.shape[-1] + 1
    every = max(1, -(-max(taps.shape[:2]) * tile // LARGEST_PICTURE_SIDE))
    shown = taps[every // 2 :: every, every // 2 :: every]
    shown = (shown / shown.max().clamp_min(1e-12)).clamp(0, 1)
    framed = F.pad(shown, (0, 1, 0, 1), value=0.5)
    sheet = framed.permute(0, 2, 1, 3).reshape(shown.shape[0] * tile, shown.shape[1] * tile)[:-1, :-1]
    square = -(-LEAST_PICTURE_SIDE // min(sheet.shape))
    sheet = sheet.repeat_interleave(square, 0).repeat_interleave(square, 1)
    write_png(picture, sheet.expand(3, *sheet.shape))


def kernel_files(image: Path) -> list[Path]:
    """The files of numbers that are there for an HR image."""
    return [path for path in (kernel_paths(image)[0], kernel_map_paths(image)[0]) if path.is_file()]


def kernel_picture(image: Path) -> Path | None:
    """The picture that shows most: of all cells, else of the one kernel; None where there is neither."""
    pictures = (kernel_map_paths(image)[1], kernel_paths(image)[1])
    return next((path for path in pictures if path.is_file()), None)


def _write_numbers(path: Path, taps: Tensor) -> None:
    stream = io.BytesIO()
    np.save(stream, taps.numpy(), allow_pickle=False)
    write_bytes(path, stream.getvalue())


def without_kernels(paths: Iterable[Path]) -> list[Path]:
    """Image files without the pictures of kernels: ``a.kernel.png`` is one where there is an image ``a``, and so on.

    >>> [path.name for path in without_kernels(map(Path, ["a.jpg", "a.kernel.png", "b.kernel.png"]))]
    ['a.jpg', 'b.kernel.png']
    """
    files = list(paths)
    stems = {path.stem for path in files}

    def is_kernel(path: Path) -> bool:
        return any(
            path.name.endswith(f"{suffix}.png") and path.stem.removesuffix(suffix) in stems
            for suffix in (SUFFIX, MAP_SUFFIX)
        )

    return [path for path in files if not is_kernel(path)]
