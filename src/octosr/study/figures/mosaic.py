"""Thumbnails of generated images in rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError

from octosr.study.figures.style import drawn, label, new_figure, nothing
from octosr.study.names import title as title_of

_SIDE, _GAP = 72, 4  # pixels; a page holds a row for each of 14 datasets


@drawn
def sample_mosaic(rows: Mapping[str, Sequence[Path]], *, technique: str) -> Figure:
    """A row of thumbnails for each dataset; a file that is not there or cannot be read leaves its place empty.

    Args:
        rows: dataset -> files of images.
        technique: whose images.
    """
    title = f"{title_of(technique)}: samples of the first seeds"
    read = {dataset: [_thumbnail(file) for file in files] for dataset, files in rows.items()}
    read = {dataset: images for dataset, images in read.items() if any(image is not None for image in images)}
    if not read:
        return nothing(title, "The images are not on this machine.")
    columns = max(map(len, read.values()))
    step = _SIDE + _GAP
    canvas = np.full((len(read) * step - _GAP, columns * step - _GAP, 3), 255, dtype=np.uint8)
    for row, images in enumerate(read.values()):
        for column, image in enumerate(images):
            if image is not None:
                canvas[row * step : row * step + _SIDE, column * step : column * step + _SIDE] = image
    width = 5.6
    figure = new_figure(width, 0.5 + (width - 1.2) * canvas.shape[0] / canvas.shape[1], title)
    axes = figure.subplots()
    axes.imshow(canvas, interpolation="none")
    axes.set_yticks([row * step + _SIDE / 2 for row in range(len(read))], [label(dataset, 16) for dataset in read])
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _thumbnail(file: Path) -> np.ndarray | None:
    """(72, 72, 3) uint8, the central square; None where there is no such image."""
    if not file.is_file():
        return None
    try:
        with Image.open(file) as image:
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            box = (left, top, left + side, top + side)
            return np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX, box=box))
    except (UnidentifiedImageError, OSError):
        return None
