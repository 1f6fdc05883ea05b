"""One picture of several images side by side, with a title over each column and a caption under each image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from octosr.callbacks.atomic_io import atomic_file

_GAP = 8  # pixels between images
_INK, _PAPER, _ALERT = (20, 20, 20), (255, 255, 255), (176, 32, 32)


def comparison_picture(
    columns: Mapping[str, Tensor],
    rows: Sequence[str] | None = None,
    label: str | None = None,
    captions: Mapping[str, Sequence[str]] | None = None,
    smallest: int = 224,
    largest: int = 512,
) -> Image.Image:
    """Draw a table of images: one column a method, one row an image.

    All images of a row show the same region at the same size: the smaller ones (LR) are enlarged by nearest
    neighbour, so that their pixels stay visible; images beyond ``largest`` are cut to their centre and not
    shrunk, which would hide the differences.

    Args:
        columns: title -> float RGB in [0, 1], (B, 3, h, w) or (3, h, w); the sizes may differ from column to
            column by whole factors.
        rows: a name for each of the B images, written on its left above it.
        label: a line across the top in red, e.g. ``STAND-IN``: data of this kind must not pass for the study's.
        captions: title -> B short texts to stand under the images, e.g. their PSNR.
        smallest: images with shorter sides are enlarged by a whole factor.
        largest: largest side of an image in pixels.

    Returns:
        An RGB picture.

    Raises:
        ValueError: no columns, or columns with different numbers of images.
    """
    stacks = {title: _stack(images) for title, images in columns.items()}
    counts = {len(images) for images in stacks.values()}
    if len(counts) != 1:
        raise ValueError(
            f"All columns need the same number of images, but got { {k: len(v) for k, v in stacks.items()} }."
        )
    count = counts.pop()
    height = max(images.shape[-2] for images in stacks.values())
    width = max(images.shape[-1] for images in stacks.values())
    enlarge = max(1, math.ceil(smallest / min(height, width)))
    cells = {title: _fit(images, (height * enlarge, width * enlarge), largest) for title, images in stacks.items()}
    cell_h, cell_w = next(iter(cells.values())).shape[1:3]

    font, small = ImageFont.load_default(size=18), ImageFont.load_default(size=14)
    line, thin = 26, 20
    top = _GAP + (line if label else 0) + line
    row_h = cell_h + (thin if rows else 0) + (thin if captions else 0) + _GAP
    picture = Image.new("RGB", (_GAP + len(cells) * (cell_w + _GAP), top + count * row_h), _PAPER)
    draw = ImageDraw.Draw(picture)
    if label:
        draw.text((_GAP, _GAP), _shorten(label, font, picture.width - 2 * _GAP), fill=_ALERT, font=font)
    for column, (title, images) in enumerate(cells.items()):
        x = _GAP + column * (cell_w + _GAP)
        draw.text((x, top - line), _shorten(title, font, cell_w), fill=_INK, font=font)
        for row in range(count):
            y = top + row * row_h
            if rows and column == 0:
                draw.text((x, y), _shorten(rows[row], small, picture.width - 2 * _GAP), fill=_INK, font=small)
            y += thin if rows else 0
            picture.paste(Image.fromarray(images[row].numpy()), (x, y))
            if captions and title in captions:
                draw.text((x, y + cell_h + 2), _shorten(captions[title][row], small, cell_w), fill=_INK, font=small)
    return picture


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG, atomically, making the folder if need be."""
    with atomic_file(path) as handle:
        picture.save(handle, format="PNG")


def _stack(images: Tensor) -> Tensor:
    images = images.detach().float().cpu()
    return images if images.dim() == 4 else images[None]


def _fit(images: Tensor, size: tuple[int, int], largest: int) -> Tensor:
    """Enlarge (B, 3, h, w) to ``size`` by nearest neighbour, cut the centre, and return uint8 (B, H, W, 3)."""
    if tuple(images.shape[-2:]) != size:
        images = torch.nn.functional.interpolate(images, size=size, mode="nearest-exact")
    height, width = (min(side, largest) for side in size)
    y, x = (size[0] - height) // 2, (size[1] - width) // 2
    cut = images[..., y : y + height, x : x + width]
    return cut.nan_to_num().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).contiguous()


def _shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text, cut with three dots where it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
