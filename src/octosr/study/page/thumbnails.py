"""One picture a dataset that holds the thumbnails of its images, for the explorer's list."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from octosr.study.page.catalogue import DatasetItems
from octosr.study.page.pictures import data_uri
from octosr.study.page.previews import Preview, to_rgb

COLUMNS = 20
SMALL = 512 * 512
"""Pixels up to which an LR image is opened for its thumbnail; larger ones would take too long by the hundred."""


@dataclass(frozen=True)
class Sheet:
    """Thumbnails of one dataset, side by side.

    Attributes:
        uri: data URI of the picture; empty if there is no thumbnail.
        tile: side of a thumbnail in pixels.
        columns: thumbnails in a row.
        places: position of an image's thumbnail by index of the image.
    """

    uri: str = ""
    tile: int = 48
    columns: int = COLUMNS
    places: Mapping[int, int] = field(default_factory=dict)


def tile_side(images: int) -> int:
    """Side of a thumbnail: smaller where there are many."""
    return 48 if images <= 1500 else 40 if images <= 2200 else 32


def sheet(
    data: DatasetItems, previews: Mapping[int, Preview], side: int, room: int, pool: Executor
) -> tuple[Sheet, dict[Path, str]]:
    """Make the thumbnails of one dataset, from LR images where they are small, else from previews.

    Args:
        data: the dataset.
        previews: its previews by index of the image.
        side: side of a thumbnail in pixels.
        room: thumbnails at most.
        pool: runs the readers.

    Returns:
        The sheet, and the files that could not be read, with the reason.
    """
    indices = list(range(len(data.items)))
    tiles: list[Image.Image] = []
    places: dict[int, int] = {}
    problems: dict[Path, str] = {}
    jobs = [(data.items[i].files.get(0), previews.get(i), side) for i in indices]
    for index, (tile, failed) in zip(indices, pool.map(lambda job: _tile(*job), jobs), strict=True):
        problems |= failed
        if tile is not None and len(tiles) < room:
            places[index] = len(tiles)
            tiles.append(tile)
    if not tiles:
        return Sheet(tile=side), problems
    rows = -(-len(tiles) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * side, rows * side))
    for k, tile in enumerate(tiles):
        picture.paste(tile, (k % COLUMNS * side, k // COLUMNS * side))
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=62, method=2)
    return Sheet(data_uri("image/webp", stream.getvalue()), side, COLUMNS, places), problems


def _tile(lr: Path | None, preview: Preview | None, side: int) -> tuple[Image.Image | None, dict[Path, str]]:
    try:
        if lr is not None:
            with Image.open(lr) as image:
                if image.width * image.height <= SMALL:
                    return _square(to_rgb(image), side), {}
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        return None, {lr: f"{type(error).__name__}: {error}"} if lr is not None else {}
    if preview is not None and preview.uris:
        uri = preview.uris[max(preview.uris)]
        with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
            return _square(to_rgb(image), side), {}
    return None, {}


def _square(image: Image.Image, side: int) -> Image.Image:
    return ImageOps.fit(
        image, (side, side), Image.Resampling.BOX if min(image.size) > side else Image.Resampling.BICUBIC
    )


def sheet_bytes(sheets: Sequence[Sheet]) -> int:
    """Characters of all sheets."""
    return sum(len(s.uri) for s in sheets)
