"""Bands of a GeoTIFF: which go together, their range, what is nodata, and how rows become blocks of the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from octosr.data.decode import UnreadableImage
from octosr.data.encode import unit_values
from octosr.prediction.picture import Pixels, PlaneSource
from octosr.prediction.rows import RowBuffer, enlarge_rows, quantise

BLOCK = 256
"""Side in pixels of the blocks that are written."""


@dataclass(frozen=True)
class Group:
    """Bands that are enlarged together.

    Attributes:
        bands: their numbers, from 1: three of a colour picture, or one.
        alpha: whether it is opacity.
    """

    bands: tuple[int, ...]
    alpha: bool = False


@dataclass(frozen=True)
class Bands:
    """The pixels of a group.

    Attributes:
        group: which bands.
        planes: (H, W) or (H, W, 3), filled where there is nothing.
        missing: (H, W) where all bands are nodata or masked; None: nowhere.
        nodata: the value that says so; None: a mask says so, or nothing is missing.
        low: the value that becomes 0.
        high: the value that becomes 1.
    """

    group: Group
    planes: Pixels
    missing: npt.NDArray[np.bool_] | None
    nodata: float | None
    low: float
    high: float

    @property
    def empty(self) -> bool:
        """Whether there is not a single valid pixel."""
        return self.missing is not None and bool(self.missing.all())

    def source(self) -> PlaneSource:
        """The bands as RGB."""
        return PlaneSource(self.planes, self.low, self.high)


def groups_of(dataset: Any) -> list[Group]:
    """Which bands go together: the first red, green and blue ones; all others are on their own."""
    names = [interpretation.name for interpretation in dataset.colorinterp]
    groups = []
    colours = tuple(names.index(name) + 1 for name in ("red", "green", "blue") if name in names)
    if len(colours) == 3:
        groups.append(Group(colours))
    else:
        colours = ()
    groups += [Group((n,), name == "alpha") for n, name in enumerate(names, 1) if n not in colours]
    return groups


def read_group(path: Path, dataset: Any, group: Group, value_range: tuple[float, float] | None) -> Bands:
    """Read the bands of a group and fill what is missing.

    Raises:
        UnreadableImage: values that are NaN or infinite and not nodata, or outside of a given range.
    """
    planes = dataset.read(group.bands)  # (bands, H, W)
    nodata = None if group.alpha else dataset.nodatavals[group.bands[0] - 1]
    missing = None if group.alpha else _missing(dataset, planes, nodata)
    valid = planes[:, ~missing] if missing is not None else planes.reshape(len(planes), -1)
    if not np.isfinite(valid).all():
        count = int((~np.isfinite(valid)).sum())
        raise UnreadableImage(
            path, f"{count} values of band {_numbers(group)} are NaN or infinite, and not declared as nodata"
        )
    if missing is not None and not missing.all():
        rows, columns = distance_transform_edt(missing, return_distances=False, return_indices=True)
        planes = planes[:, rows, columns]
    low, high = _range(path, valid, planes.dtype, group, value_range)
    shaped = planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0))
    return Bands(group, shaped, missing, nodata, low, high)


def _missing(dataset: Any, planes: Pixels, nodata: float | None) -> npt.NDArray[np.bool_] | None:
    if nodata is not None:
        found = np.isnan(planes) if np.isnan(nodata) else planes == nodata
        missing = found.all(axis=0)
    elif any("per_dataset" in flag.name for flags in dataset.mask_flag_enums for flag in flags):
        missing = np.asarray(dataset.dataset_mask()) == 0
    else:
        return None
    return np.asarray(missing) if missing.any() else None


def _range(
    path: Path, valid: Pixels, dtype: np.dtype[Any], group: Group, given: tuple[float, float] | None
) -> tuple[float, float]:
    if dtype == np.uint8 or group.alpha:
        return 0.0, 255.0 if dtype == np.uint8 else float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
    if not valid.size:
        return 0.0, 1.0
    low, high = float(valid.min()), float(valid.max())
    if given is None:
        return low, high if high > low else low + 1
    if low < given[0] or high > given[1]:
        raise UnreadableImage(
            path,
            f"values of band {_numbers(group)} from {low:g} to {high:g}, outside of "
            f"geo.range=[{given[0]:g},{given[1]:g}]",
        )
    return given


def _numbers(group: Group) -> str:
    return ", ".join(str(band) for band in group.bands)


class BandSink:
    """Takes enlarged rows, brings them back to the bands' values and writes full rows of blocks.

    Args:
        bands: what was enlarged.
        result: the opened file to write.
        scale: of the enlargement.
    """

    def __init__(self, bands: Bands, result: Any, scale: int) -> None:
        self.bands, self.result, self.scale = bands, result, scale
        self._buffer = RowBuffer(BLOCK)
        self._taken = 0
        self._written = 0

    def write(self, rows: Tensor) -> None:
        """See :class:`octosr.prediction.tiling.Sink`."""
        if len(self.bands.group.bands) == 1:
            rows = rows.double().mean(0, keepdim=True).float()  # as one channel of a grey picture
        values = self._values(rows)
        self._restore(values)
        self._taken += values.shape[1]
        for block in self._buffer.add(values.transpose(1, 0, 2)):
            self._put(block)

    def finish(self) -> None:
        """Write the last rows."""
        for block in self._buffer.rest():
            self._put(block)

    def write_nodata(self) -> None:
        """The whole band is nodata; where a mask says so, the values do not matter."""
        height, width = self.bands.planes.shape[0] * self.scale, self.bands.planes.shape[1] * self.scale
        shape = (BLOCK, len(self.bands.group.bands), width)
        block = np.full(shape, self.bands.nodata or 0, self.bands.planes.dtype)
        while self._written < height:
            self._put(block[: min(BLOCK, height - self._written)])

    def _values(self, rows: Tensor) -> Pixels:
        dtype, low, high = self.bands.planes.dtype, self.bands.low, self.bands.high
        if dtype == np.uint8:
            return quantise(rows, 8).numpy()
        values = low + unit_values(rows.double()).numpy() * (high - low)
        return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)

    def _restore(self, values: Pixels) -> None:
        """Nodata where nodata was, and nowhere else."""
        nodata = self.bands.nodata
        if nodata is None:
            return
        if not np.isnan(nodata):
            hit = (values == nodata).all(axis=0)
            if hit.any():
                values[:, hit] = _next_to(nodata, values.dtype)
        if self.bands.missing is not None:
            rows = np.arange(self._taken, self._taken + values.shape[1]) // self.scale
            values[:, np.repeat(self.bands.missing[rows], self.scale, axis=1)] = nodata

    def _put(self, block: Pixels) -> None:
        _write(self.result, block.transpose(1, 0, 2), self.bands.group, self._written)
        self._written += len(block)


def enlarge_alpha(bands: Bands, result: Any, scale: int) -> None:
    """Opacity, with bicubic."""
    plane = bands.source()
    height = plane.height * scale
    for top in range(0, height, BLOCK):
        rows = enlarge_rows(plane, scale, top, min(top + BLOCK, height))
        values = torch.round(unit_values(rows).double() * bands.high) if bands.planes.dtype.kind in "iu" else rows
        _write(result, values.numpy().astype(bands.planes.dtype), bands.group, top)


def _write(result: Any, block: Pixels, group: Group, top: int) -> None:
    from rasterio.windows import Window

    result.write(block, indexes=list(group.bands), window=Window(0, top, block.shape[2], block.shape[1]))


def _next_to(value: float, dtype: np.dtype[Any]) -> float:
    """The value beside nodata that the type can hold."""
    if dtype.kind in "iu":
        return value + 1 if value < np.iinfo(dtype).max else value - 1
    return float(np.nextafter(dtype.type(value), dtype.type(0) if value else dtype.type(1)))
