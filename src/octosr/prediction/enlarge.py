"""What is asked for, what an image file becomes ready for, and what was made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from octosr.data.decode import MAX_PIXELS, UnreadableImage
from octosr.prediction.errors import CannotEnlarge
from octosr.prediction.formats import Kind, kind_of
from octosr.prediction.geotiff import enlarge_geotiff, is_geotiff
from octosr.prediction.picture import Picture, read_picture
from octosr.prediction.tiling import Report, Sink, Source, upscale
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
        batch_size: how many small images of one size are enlarged together; None: chosen.
    """

    tile: int | None = None
    self_ensemble: bool = False
    quality: int = 95
    value_range: tuple[float, float] | None = None
    max_pixels: int = MAX_PIXELS
    batch_size: int | None = None


@dataclass
class Outcome:
    """What was written.

    Attributes:
        height: of the result in pixels.
        width: of the result in pixels.
        notes: what the user should know.
        reports: of the tiling: one a picture, one a band or colour of a GeoTIFF.
        batch: how many images were enlarged together, this one among them.
    """

    height: int
    width: int
    notes: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    batch: int = 1


@dataclass(frozen=True)
class Ready:
    """An image that can be enlarged and written as asked.

    Attributes:
        picture: decoded; None: a GeoTIFF, which is read band by band when its turn comes.
        kind: of the file to write.
        notes: what the user should know.
    """

    picture: Picture | None
    kind: Kind
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Of the decoded pixels, about."""
        if self.picture is None:
            return 0
        alpha = self.picture.alpha
        return self.picture.colours.nbytes + (0 if alpha is None else alpha.nbytes)


def read(source: Path, target: Path, scale: int, settings: Settings) -> Ready:
    """Decode an image file, and refuse what cannot be written under the name its result shall have.

    Args:
        source: the file.
        target: the name of the result, whose extension says what is written.
        scale: of the enlargement.
        settings: see :class:`Settings`.

    Raises:
        UnreadableImage: the file cannot be used; with the reason.
        CannotEnlarge: the result cannot be written as this kind of file.
    """
    kind = kind_of(target)
    if _is_geotiff(source):
        if kind.name != "TIFF":
            raise CannotEnlarge(
                f"a GeoTIFF cannot become {kind.name}, which holds no coordinates, nodata or bands: "
                "format=auto or format=tif"
            )
        return Ready(None, kind)
    picture = read_picture(source, scale, settings.max_pixels)
    height, width = (side * scale for side in picture.size)
    return Ready(picture, kind, (*picture.notes, *_check(picture, kind, height, width)))


def enlarge_bands(
    source: Path,
    temporary: Path,
    technique: SingleImageTechnique,
    settings: Settings,
    progress: Progress | None = None,
) -> Outcome:
    """Enlarge a GeoTIFF.

    Args:
        source: the file.
        temporary: where the result is written.
        technique: on the device to use, with its weights, at the scale wanted.
        settings: see :class:`Settings`.
        progress: called with LR pixels done and LR pixels in all, of each band.

    Returns:
        What was written.

    Raises:
        UnreadableImage: the file cannot be used; with the reason.
        CannotEnlarge: rasterio is not installed.
        OSError: the file cannot be written, or the disk is full.
        OctoSRError: the technique cannot enlarge it, or made values that are no numbers.
    """
    reports: list[Report] = []

    def run(lr: Source, sink: Sink) -> None:
        made = upscale(technique, lr, sink, tile=settings.tile, self_ensemble=settings.self_ensemble, progress=progress)
        reports.append(made)

    limits = (settings.value_range, settings.max_pixels)
    bands, height, width = enlarge_geotiff(source, temporary, technique.scale, run, *limits)
    return Outcome(height, width, [f"GeoTIFF of {bands} bands", *blended(reports)], reports)


def blended(reports: Sequence[Report]) -> list[str]:
    """A note where tiles do not make what the whole image would."""
    sides = {report.tile for report in reports if report.bound is None}
    if not sides:
        return []
    return [
        f"cut into tiles of {max(side or 0 for side in sides)} LR pixels that fade into each other: near what the "
        "whole image would give, not equal to it, since the network sees further than that, or nobody knows how far"
    ]


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
