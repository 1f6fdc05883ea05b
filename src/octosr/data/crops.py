"""Random and centred crops of a whole batch in one indexing operation, on the bank's device."""

from __future__ import annotations

import torch
from torch import Tensor

from octosr.data.bank import ImageBank
from octosr.data.hashing import random_integers

_IMAGE, _TOP, _LEFT, _FLIP_ROWS, _FLIP_COLUMNS, _TRANSPOSE = range(6)


def random_crops(bank: ImageBank, side: int, seed: int, sample_ids: Tensor) -> Tensor:
    """One random crop a sample: a uniformly drawn image, a uniform corner, and each of horizontal flip, vertical flip
    and transposition with probability 1/2, as DAN augments its training images.

    Args:
        bank: images with sides of at least ``side``.
        side: side of the crops in pixels.
        seed: the run's seed.
        sample_ids: (B,) int64 on the bank's device; a crop depends on its id and the seed alone.

    Returns:
        (B, 3, side, side) float32 in [0, 1] on the bank's device.
    """
    image = random_integers(seed, sample_ids, _IMAGE, len(bank))
    top = random_integers(seed, sample_ids, _TOP, bank.heights[image] - side + 1)
    left = random_integers(seed, sample_ids, _LEFT, bank.widths[image] - side + 1)

    steps = torch.arange(side, device=sample_ids.device)
    row, column = steps.view(1, side, 1), steps.view(1, 1, side)
    transpose = _coin(seed, sample_ids, _TRANSPOSE)
    row, column = torch.where(transpose, column, row), torch.where(transpose, row, column)
    row = torch.where(_coin(seed, sample_ids, _FLIP_ROWS), side - 1 - row, row)
    column = torch.where(_coin(seed, sample_ids, _FLIP_COLUMNS), side - 1 - column, column)
    return gather(bank, image, top.view(-1, 1, 1) + row, left.view(-1, 1, 1) + column)


def centre_crops(bank: ImageBank, side: int) -> Tensor:
    """The centre ``side`` x ``side`` of every image; (N, 3, side, side) float32 in [0, 1]."""
    steps = torch.arange(side, device=bank.starts.device)
    top, left = (bank.heights - side) // 2, (bank.widths - side) // 2
    rows = top.view(-1, 1, 1) + steps.view(1, side, 1).expand(len(bank), side, side)
    columns = left.view(-1, 1, 1) + steps.view(1, 1, side)
    return gather(bank, torch.arange(len(bank), device=bank.starts.device), rows, columns)


def gather(bank: ImageBank, image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels at given places.

    Args:
        bank: the images.
        image: (B,) int64, which image each crop is from.
        rows: (B, h, w) int64, row of every pixel; must lie inside the image.
        columns: int64, column of every pixel; broadcasts with ``rows``.

    Returns:
        (B, 3, h, w) float32 in [0, 1].
    """
    places = bank.starts[image].view(-1, 1, 1) + rows * bank.widths[image].view(-1, 1, 1) + columns
    pixels = bank.pixels.index_select(0, places.flatten()).view(*places.shape, 3)
    return pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def _coin(seed: int, sample_ids: Tensor, stream: int) -> Tensor:
    """(B, 1, 1) bool, true half of the time."""
    return random_integers(seed, sample_ids, stream, 2).bool().view(-1, 1, 1)
