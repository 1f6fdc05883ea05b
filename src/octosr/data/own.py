"""A dataset like the study's from anyone's images: 100 chosen by chance, cut square and reduced as the study's were.

Each chosen image gives its largest centred square. That square, reduced to 128x128 by Pillow's antialiased bicubic
filter (what the study says of its own reductions), is the LR image; where it has 1024 pixels or more on a side, it is
also reduced to 1024x1024 and kept as HR reference. ``OWN.json`` beside ``LR/`` and ``HR/`` says what was made of what,
and marks the folder: scores on it are of kind ``own`` and never pass for the study's.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from octosr import __version__
from octosr.atomic import write_bytes
from octosr.catalog import LR_SIDE, SCALE
from octosr.data.decode import MAX_PIXELS, UnreadableImage, read_header, read_image_uint8
from octosr.data.encode import COMPRESSION
from octosr.data.locate import image_files_below
from octosr.data.own_names import unique_stems
from octosr.errors import MissingDataError
from octosr.hashing import file_sha256

KIND = "own images"
FORMAT = 1
HR_SIDE = SCALE * LR_SIDE
PARTS = {"LR": LR_SIDE, "HR": HR_SIDE}
"""What is made of a square: subfolder and side in pixels."""


@dataclass(frozen=True)
class Chosen:
    """One image of the set.

    Attributes:
        source: path of the original below the folder, with ``/``.
        sha256: of the original file.
        width, height: of the original in pixels, as it is displayed.
        box: left, top, right, bottom of the square that was cut out, in pixels.
        results: sha256 of what was made of it, by ``LR`` and, where the square has 1024 pixels or more, ``HR``.
    """

    source: str
    sha256: str
    width: int
    height: int
    box: tuple[int, int, int, int]
    results: dict[str, str]


@dataclass
class Selection:
    """What came of a folder.

    Attributes:
        chosen: the images of the set, in natural order of their sources.
        left_out: source and reason of those that were looked at and not taken.
        found: number of image files in the folder.
        numbers: source -> the name, a number, under which its results lie in the target for now.
    """

    chosen: list[Chosen] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    found: int = 0
    numbers: dict[str, int] = field(default_factory=dict)


def select(
    folder: Path,
    target: Path,
    count: int,
    seed: int,
    max_pixels: int = MAX_PIXELS,
    advance: Callable[[], None] | None = None,
) -> Selection:
    """Choose images, and write what is made of them as ``LR/NUMBER.png`` and ``HR/NUMBER.png``.

    Which are chosen depends on their paths below the folder, on the seed and on nothing else; each image that cannot be
    used (unreadable, smaller than 128 pixels, the same file as one chosen before) is replaced by the next.

    Args:
        folder: images, also in subfolders.
        target: a new folder.
        count: so many, or as many as can be used.
        seed: of the choice.
        max_pixels: see :func:`octosr.data.decode.decode`.
        advance: called after each image that was taken.

    Raises:
        MissingDataError: there is no such folder, no image in it, or none that can be used (with the reasons).
    """
    paths = image_files_below(folder)
    selection = Selection(found=len(paths))
    by_hash: dict[str, str] = {}
    for number, path in enumerate(_shuffled(paths, folder, seed)):
        if len(selection.chosen) == count:
            break
        source = path.relative_to(folder).as_posix()
        try:
            pixels, digest = _read(path, max_pixels)
        except UnreadableImage as error:
            selection.left_out.append((source, error.reason))
            continue
        first = by_hash.setdefault(digest, source)
        if first != source:
            selection.left_out.append((source, f"the same file as {first}"))
            continue
        height, width, _ = pixels.shape
        box = centred_square(width, height)
        results = _reduce(pixels[box[1] : box[3], box[0] : box[2]], target, f"{number}.png")
        selection.chosen.append(Chosen(source, digest, width, height, box, results))
        selection.numbers[source] = number
        if advance is not None:
            advance()
    if not selection.chosen:
        raise MissingDataError(_nothing(folder, selection))
    order = {path.relative_to(folder).as_posix(): k for k, path in enumerate(paths)}
    selection.chosen.sort(key=lambda chosen: order[chosen.source])
    return selection


def name_results(selection: Selection, target: Path) -> dict[str, Chosen]:
    """Give the results in ``target`` the names of their sources; returns these names (stems) with what they are of."""
    stems = unique_stems([chosen.source for chosen in selection.chosen])
    named = dict(zip(stems, selection.chosen, strict=True))
    for part in PARTS:
        if not (target / part).is_dir():
            continue
        (target / part).rename(target / f".{part}")  # a number may be the name of another image
        (target / part).mkdir()
        for stem, chosen in named.items():
            if part in chosen.results:
                number = selection.numbers[chosen.source]
                (target / f".{part}" / f"{number}.png").rename(target / part / f"{stem}.png")
        (target / f".{part}").rmdir()
    return named


def manifest(
    selection: Selection, named: Mapping[str, Chosen], *, dataset: str, origin: str, count: int, seed: int
) -> dict[str, Any]:
    """What OWN.json says: the same for the same images and settings, whenever and wherever it is written."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "dataset": dataset,
        "note": f"NOT the study's images of {dataset}: built from somebody's own.",
        "from": origin,
        "found": selection.found,
        "count": count,
        "seed": seed,
        "lr": f"largest centred square, Pillow {PIL.__version__} BICUBIC (antialiased), {LR_SIDE}x{LR_SIDE}",
        "hr": f"the same square, where it is {HR_SIDE} or more: the same filter, {HR_SIDE}x{HR_SIDE}",
        "octosr": __version__,
        "images": {stem: asdict(chosen) | {"box": list(chosen.box)} for stem, chosen in named.items()},
        "left_out": dict(selection.left_out),
    }


def centred_square(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the largest centred square; an odd pixel is left at the right or below.

    >>> centred_square(481, 321)
    (80, 0, 401, 321)
    """
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def _read(path: Path, max_pixels: int) -> tuple[npt.NDArray[np.uint8], str]:
    """Pixels and the hash of the file.

    Raises:
        UnreadableImage: also where it is too small.
    """
    header = read_header(path, max_pixels)
    if min(header.width, header.height) < LR_SIDE:
        size = f"{header.width}x{header.height}"
        raise UnreadableImage(path, f"too small: {size}, and an LR image is {LR_SIDE}x{LR_SIDE}")
    return read_image_uint8(path, max_pixels), file_sha256(path)


def _reduce(square: npt.NDArray[np.uint8], target: Path, name: str) -> dict[str, str]:
    """Write the square in the sizes of LR and HR as PNG files that say that they are not the study's; their hashes."""
    text = PngInfo()
    text.add_text("octosr:data", KIND)
    image = Image.fromarray(np.ascontiguousarray(square))
    results = {}
    for part, side in PARTS.items():
        if part == "HR" and len(square) < side:
            continue
        stream = io.BytesIO()
        reduced = image.resize((side, side), Image.Resampling.BICUBIC)
        reduced.save(stream, "PNG", compress_level=COMPRESSION, pnginfo=text)
        write_bytes(target / part / name, stream.getvalue())
        results[part] = hashlib.sha256(stream.getvalue()).hexdigest()
    return results


def _shuffled(paths: Sequence[Path], folder: Path, seed: int) -> Iterator[Path]:
    """By the hash of seed and path: the order of the disk does not matter, and one image more changes little."""

    def key(path: Path) -> bytes:
        return hashlib.sha256(
            f"{seed}:{path.relative_to(folder).as_posix()}".encode("utf-8", "surrogateescape")
        ).digest()

    return iter(sorted(paths, key=key))


def _nothing(folder: Path, selection: Selection) -> str:
    lines = [f"  {source}: {reason}" for source, reason in selection.left_out[:20]]
    more = len(selection.left_out) - len(lines)
    lines += [f"  and {more} more"] if more > 0 else []
    return "\n".join([f"None of the {selection.found} images in {folder} can be used:", *lines])
