"""GeoTIFF in, GeoTIFF out: every band enlarged, coordinates, nodata and descriptions kept.

- A red, a green and a blue band are enlarged together; every other band alone, as grey; one of opacity with bicubic.
- **Range.** A technique sees [0, 1]. 8-bit bands are divided by 255. Of others (uint16, int16, float32) the range from
  the smallest to the largest valid value of the band (of the three, for colours), or ``geo.range=[low,high]``, becomes
  [0, 1]; results are brought back and limited to the same range.
- **Nodata** pixels (of colours: nodata in all three bands), and those that an internal mask leaves out, are filled with
  the nearest valid value, so that they do not shine into their surroundings, and become nodata again as blocks of
  scale x scale. A valid pixel is never nodata by chance: it is moved to the next value.
- The geotransform is divided by the scale: corners stay where they are. Ground control points and RPCs move likewise.

rasterio is imported where a file needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tifffile

from octosr.data.decode import UnreadableImage
from octosr.prediction.errors import CannotEnlarge
from octosr.prediction.geo_bands import BLOCK, BandSink, Group, enlarge_alpha, groups_of, read_group
from octosr.prediction.geo_carry import carry, creation_options
from octosr.prediction.tiling import Sink, Source

Upscale = Callable[[Source, Sink], None]
DTYPES = ("uint8", "uint16", "int16", "float32")
_GEO_TAGS = (33550, 33922, 34264, 34735, 42112, 42113, 50844)
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_geotiff(path: Path) -> bool:
    """Whether a file is a TIFF with coordinates, nodata, more bands than a picture has, or values that may be negative.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        if stream.read(4) not in _MAGIC:
            return False
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            signed = page.dtype is not None and page.dtype.kind in "ic"
            return signed or page.samplesperpixel > 4 or any(tag in page.tags for tag in _GEO_TAGS)
    except Exception:  # tifffile raises nearly anything on a malformed file; the decoder of pictures says what it is
        return False


def enlarge_geotiff(
    path: Path,
    target: Path,
    scale: int,
    upscale: Upscale,
    value_range: tuple[float, float] | None = None,
    max_pixels: int = 2**28,
) -> tuple[int, int, int]:
    """Enlarge a GeoTIFF, block by block.

    Args:
        path: the file.
        target: the file to write.
        scale: of the enlargement.
        upscale: super-resolves one source into one sink.
        value_range: the values that become 0 and 1, where bands are not 8-bit; None: their smallest and largest.
        max_pixels: limit on width x height.

    Returns:
        Bands, height and width of the result.

    Raises:
        UnreadableImage: damaged, too large, or of a kind that has no clear meaning as an image.
        CannotEnlarge: rasterio is not installed.
        OSError: the result cannot be written.
    """
    rasterio = _rasterio(path)
    with rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_TIFF_INTERNAL_MASK="YES"), _open(rasterio, path) as source:
        _check(source, path, max_pixels)
        options = creation_options(source, scale)
        with rasterio.open(target, "w", **options) as result:
            carry(source, result, scale)
            for group in groups_of(source):
                _enlarge_group(path, source, result, group, scale, upscale, value_range)
            _write_mask(rasterio, source, result, scale)
        _check_written(rasterio, target)
        return int(source.count), int(options["height"]), int(options["width"])


def _enlarge_group(
    path: Path,
    source: Any,
    result: Any,
    group: Group,
    scale: int,
    upscale: Upscale,
    value_range: tuple[float, float] | None,
) -> None:
    with _reading(path):
        bands = read_group(path, source, group, value_range)
    if group.alpha:
        enlarge_alpha(bands, result, scale)
        return
    sink = BandSink(bands, result, scale)
    if bands.empty:
        sink.write_nodata()
        return
    upscale(bands.source(), sink)
    sink.finish()


def _rasterio(path: Path) -> ModuleType:
    try:
        import rasterio
    except ImportError as error:
        raise CannotEnlarge(
            "a GeoTIFF (or one of many bands): reading it needs rasterio, which is not installed. "
            "Install it with: pip install 'octosr[geo]'"
        ) from error
    module: ModuleType = rasterio
    return module


@contextmanager
def _open(rasterio: ModuleType, path: Path) -> Iterator[Any]:
    import warnings

    with warnings.catch_warnings():
        # Files of many bands need not have coordinates.
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with _reading(path):
            source = rasterio.open(path)
        with source:
            yield source


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    from rasterio.errors import RasterioError, RasterioIOError

    try:
        yield
    except (RasterioIOError, RasterioError) as error:
        raise UnreadableImage(path, f"cannot be decoded (truncated or damaged): {error}") from error


def _check(source: Any, path: Path, max_pixels: int) -> None:
    if source.width * source.height > max_pixels:
        raise UnreadableImage(
            path,
            f"the image is {source.width}x{source.height}, more than data.max_pixels={max_pixels}; "
            "cut it into parts, or raise the limit",
        )
    kinds = set(source.dtypes)
    if len(kinds) > 1 or not kinds <= set(DTYPES):
        raise UnreadableImage(path, f"bands of {', '.join(sorted(kinds))}; one of {', '.join(DTYPES)} is supported")
    for band in range(1, source.count + 1):
        try:
            source.colormap(band)
        except ValueError:  # there is none, as it should be
            continue
        raise UnreadableImage(
            path, f"band {band} has a table of colours: its values are classes, between which there is nothing"
        )


def _write_mask(rasterio: ModuleType, source: Any, result: Any, scale: int) -> None:
    """An internal mask is kept, pixel by pixel."""
    flags = rasterio.enums.MaskFlags
    if not all(flags.per_dataset in band and flags.alpha not in band for band in source.mask_flag_enums):
        return
    mask = source.dataset_mask()
    for top in range(0, source.height, max(BLOCK // scale, 1)):
        rows = np.repeat(np.repeat(mask[top : top + max(BLOCK // scale, 1)], scale, axis=0), scale, axis=1)
        result.write_mask(rows, window=rasterio.windows.Window(0, top * scale, rows.shape[1], rows.shape[0]))


def _check_written(rasterio: ModuleType, target: Path) -> None:
    """GDAL may keep quiet about a full disk when a file is closed; then its last block is not there."""
    with rasterio.open(target) as result:
        top = (result.height - 1) // BLOCK * BLOCK
        result.read(window=rasterio.windows.Window(0, top, result.width, result.height - top))
