"""The images that are judged: files on disk, known by their bytes, with what they can be compared with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from octosr.data.decode import decode
from octosr.hashing import file_sha256

Result = TypeVar("Result")


@dataclass(frozen=True)
class SavedImage:
    """One image to be judged.

    Attributes:
        name: the name it is filed under.
        path: its file.
        sha256: hash of the file's bytes.
        references: ``hr`` and ``lr``, where there are such files: the true HR image, and the LR image it was made from.
        reference_sha256: their hashes.
    """

    name: str
    path: Path
    sha256: str
    references: Mapping[str, Path]
    reference_sha256: Mapping[str, str]

    def key(self, compares_with: str) -> tuple[str, str]:
        """What determines a score besides the metric: the image and what it is compared with."""
        return self.sha256, self.reference_sha256.get(compares_with, "")


def saved_images(
    files: Mapping[str, Path], references: Mapping[str, Mapping[str, Path]]
) -> tuple[list[SavedImage], list[tuple[str, str]]]:
    """Hash files, without decoding any.

    Args:
        files: image name -> file.
        references: ``hr`` and ``lr``: image name -> file.

    Returns:
        The images in the order given, and (file, reason) of what cannot be read; a reference that cannot be read is
        left out, its image is not.
    """
    paths = [*files.values(), *(path for by_name in references.values() for path in by_name.values())]
    digests = dict(zip(paths, in_threads(_digest, paths), strict=True))
    images = []
    for name, path in files.items():
        digest = digests[path]
        if isinstance(digest, OSError):
            continue
        given = {kind: by_name[name] for kind, by_name in references.items() if name in by_name}
        hashed = {kind: digests[file] for kind, file in given.items()}
        good = {kind: digest for kind, digest in hashed.items() if isinstance(digest, str)}
        images.append(SavedImage(name, path, digest, {kind: given[kind] for kind in good}, good))
    problems = [
        (str(path), f"cannot be read: {e.strerror or e}") for path, e in digests.items() if isinstance(e, OSError)
    ]
    return images, problems


def pixels_of(path: Path) -> Tensor:
    """Decode an image of any kind as it is.

    Returns:
        (3, H, W), uint8, or float32 in [0, 1] where the file has more than 8 bits.

    Raises:
        UnreadableImage: see :func:`octosr.data.decode.decode`.
    """
    return torch.from_numpy(decode(path)).permute(2, 0, 1).contiguous()


def unit_range(images: Tensor) -> Tensor:
    """Float32 in [0, 1], whether 8-bit or float came in."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def in_threads(work: Callable[[Path], Result], paths: Sequence[Path]) -> list[Result]:
    """Apply ``work`` to files, in as many threads as there are processors (hashing releases Python's lock)."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(work, paths))


def _digest(path: Path) -> str | OSError:
    try:
        return file_sha256(path)
    except OSError as error:
        return error
