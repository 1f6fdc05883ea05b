"""Checks of the HR references, so that a bad one is found before hours of super-resolution and not after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from octosr.data.decode import UnreadableImage, decode
from octosr.data.threads import for_each_file


def check_references(
    references: Mapping[str, Path], sizes: Mapping[str, tuple[int, int]], scale: int, max_pixels: int
) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    """Decode every reference and compare its size with that of its LR image.

    Args:
        references: HR file by name.
        sizes: height and width of the LR image of each of those names.
        scale: how many times larger a reference has to be.
        max_pixels: see :func:`octosr.data.decode.decode`.

    Returns:
        The references that fit, and (file, reason) of the others.
    """
    names = {path: name for name, path in references.items()}

    def check(path: Path) -> None:
        height, width, _ = decode(path, max_pixels).shape
        rows, columns = (scale * side for side in sizes[names[path]])
        if (height, width) != (rows, columns):
            raise UnreadableImage(
                path, f"the HR reference is {width}x{height}, but {columns}x{rows} is {scale} times its LR image"
            )

    outcomes = dict(zip(names, for_each_file(check, list(names), "checking references"), strict=True))
    good = {name: path for path, name in names.items() if outcomes[path] is None}
    return good, [(str(error.path), error.reason) for error in outcomes.values() if error is not None]
