"""One file in, one file out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from octosr.data.decode import MAX_PIXELS, UnreadableImage
from octosr.prediction.errors import CannotEnlarge
from octosr.prediction.formats import Kind, kind_of
from octosr.prediction.geotiff import enlarge_geotiff, is_geotiff
from octosr.prediction.picture import Picture, PlaneSource, read_picture
from octosr.prediction.rows import RowEncoder
from octosr.prediction.tiling import Report, Sink, Source, upscale
from octosr.prediction.writers import Layout, Writer, open_writer
from octosr.techniques.base import SingleImageTechnique

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """How images are enlarged and written.

    Attributes:
        tile: side of the tiles in LR pixels; None: chosen.
        self_ensemble: the mean over the eight flips and rotations.
        quality: of JPEG and WebP, 1 to 100.
        value_range: of bands of a GeoTIFF that are not 8-bit; None: from their smallest to their largest value.
        max_pixels: a larger image is refused before it is decoded.
    """

    tile: int | None = None
    self_ensemble: bool = False
    quality: int = 95
    value_range: tuple[float, float] | None = None
    max_pixels: int = MAX_PIXELS


@dataclass
class Outcome:
    """What was written.

    Attributes:
        height: of the result in pixels.
        width: of the result in pixels.
        notes: what the user should know.
        reports: of the tiling: one a picture, one a band or colour of a GeoTIFF.
    """

    height: int
    width: int
    notes: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)


class PictureSink:
    """Brings enlarged rows to the writer of a file."""

    def __init__(self, encoder: RowEncoder, writer: Writer) -> None:
        self._encoder, self._writer = encoder, writer

    def write(self, rows: Tensor) -> None:
        """See :class:`octosr.prediction.tiling.Sink`."""
        self._writer.write(self._encoder.encode(rows))


def enlarge(
    source: Path,
    temporary: Path,
    target: Path,
    technique: SingleImageTechnique,
    settings: Settings,
    progress: Progress | None = None,
) -> Outcome:
    """Enlarge one image file.

    Args:
        source: the file.
        temporary: where the result is written.
        target: the name it will have, whose extension says what is written.
        technique: on the device to use, with its weights, at the scale wanted.
        settings: see :class:`Settings`.
        progress: called with LR pixels done and LR pixels in all (of each band of a GeoTIFF).

    Returns:
        What was written.

    Raises:
        UnreadableImage: the file cannot be used; with the reason.
        CannotEnlarge: the result cannot be written as this kind of file.
        OSError: the file cannot be written, or the disk is full.
        OctoSRError: the technique cannot enlarge it, or made values that are no numbers.
    """
    reports: list[Report] = []

    def run(lr: Source, sink: Sink) -> None:
        made = upscale(technique, lr, sink, tile=settings.tile, self_ensemble=settings.self_ensemble, progress=progress)
        reports.append(made)

    kind = kind_of(target)
    if _is_geotiff(source):
        if kind.name != "TIFF":
            raise CannotEnlarge(
                f"a GeoTIFF cannot become {kind.name}, which holds no coordinates, nodata or bands: "
                "format=auto or format=tif"
            )
        limits = (settings.value_range, settings.max_pixels)
        bands, height, width = enlarge_geotiff(source, temporary, technique.scale, run, *limits)
        return Outcome(height, width, [f"GeoTIFF of {bands} bands"], reports)
    picture = read_picture(source, technique.scale, settings.max_pixels)
    height, width = (side * technique.scale for side in picture.size)
    notes = [*picture.notes, *_check(picture, kind, height, width)]
    bits = min(picture.bits, kind.deepest)
    encoder = RowEncoder(picture, technique.scale, bits)
    layout = Layout(height, width, encoder.channels, bits, picture.metadata, settings.quality)
    with open_writer(temporary, kind, layout) as writer:
        run(PlaneSource(picture.colours), PictureSink(encoder, writer))
    return Outcome(height, width, notes, reports)


def _is_geotiff(source: Path) -> bool:
    try:
        return is_geotiff(source)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            reason = "no such file (a dangling link?)"
        elif isinstance(error, PermissionError):
            reason = "it may not be read (permission denied)"
        elif isinstance(error, IsADirectoryError):
            reason = "it is a folder, not an image"
        else:
            reason = f"cannot be read: {error.strerror or error}"
        raise UnreadableImage(source, reason) from error


def _check(picture: Picture, kind: Kind, height: int, width: int) -> list[str]:
    """Refuse what this kind of file cannot hold; notes on what it loses."""
    if max(height, width) > kind.longest:
        raise CannotEnlarge(
            f"the result is {width}x{height}, but a side of {kind.name} has at most {kind.longest} pixels: format=png"
        )
    if picture.alpha is not None and not kind.alpha:
        raise CannotEnlarge(f"it has transparent parts, which {kind.name} cannot hold: format=png")
    notes = []
    if picture.bits > kind.deepest:
        notes.append(f"{picture.bits} bits a channel become {kind.deepest}, the most that {kind.name} holds")
    if not kind.exif and (picture.metadata.exif is not None or picture.metadata.icc is not None):
        notes.append(f"{kind.name} holds no EXIF data and no colour profile: they are left out")
    return notes
