"""Files of estimated blur kernels beside HR images: ``NAME.kernel.npy`` (the numbers) and ``NAME.kernel.png``."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from octosr.atomic import write_bytes
from octosr.data.encode import write_png

SUFFIX = ".kernel"
LEAST_PICTURE_SIDE = 160


def kernel_paths(image: Path) -> tuple[Path, Path]:
    """Where the numbers and the picture of the kernel of an HR image lie.

    >>> [path.name for path in kernel_paths(Path("hr/moesr/isaid/P1.png"))]
    ['P1.kernel.npy', 'P1.kernel.png']
    """
    return image.with_name(f"{image.stem}{SUFFIX}.npy"), image.with_name(f"{image.stem}{SUFFIX}.png")


def write_kernel(image: Path, kernel: Tensor) -> None:
    """Write the kernel that an HR image's LR image was found to have been made with, each file atomically.

    The picture has black for 0, white for the largest tap, and whole squares for taps.

    Args:
        image: path of the HR image.
        kernel: (K, K), unit sum, in HR pixels; stored as float32.

    Raises:
        ValueError: not a finite (K, K) tensor.
    """
    taps = kernel.detach().float().cpu()
    if taps.ndim != 2 or taps.shape[0] != taps.shape[1] or not torch.isfinite(taps).all():
        raise ValueError(f"a finite kernel (K, K) expected for {image}, got {tuple(taps.shape)}")
    numbers, picture = kernel_paths(image)
    stream = io.BytesIO()
    np.save(stream, taps.numpy(), allow_pickle=False)
    write_bytes(numbers, stream.getvalue())
    square = -(-LEAST_PICTURE_SIDE // len(taps))
    shown = (taps / taps.max().clamp_min(1e-12)).clamp(0, 1)
    shown = shown.repeat_interleave(square, 0).repeat_interleave(square, 1)
    write_png(picture, shown.expand(3, *shown.shape))


def without_kernels(paths: Iterable[Path]) -> list[Path]:
    """Image files without the pictures of kernels: ``a.kernel.png`` is one where there is an image ``a``.

    >>> [path.name for path in without_kernels(map(Path, ["a.jpg", "a.kernel.png", "b.kernel.png"]))]
    ['a.jpg', 'b.kernel.png']
    """
    files = list(paths)
    stems = {path.stem for path in files}

    def is_kernel(path: Path) -> bool:
        return path.name.endswith(f"{SUFFIX}.png") and path.stem.removesuffix(SUFFIX) in stems

    return [path for path in files if not is_kernel(path)]
