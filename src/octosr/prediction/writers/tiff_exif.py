"""EXIF in a TIFF file: maker, date and the like are tags of the file, the EXIF and GPS groups hang on two more."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

_TEXTS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""Description, maker, model, software, date, artist and copyright."""
_GROUPS = (0x8769, 0x8825)
"""EXIF and GPS."""
_LONG = 4

Tag = tuple[int, str, int, str, bool]


def text_tags(exif: bytes | None) -> list[Tag]:
    """What the EXIF block says in words, for ``tifffile``'s ``extratags``."""
    if exif is None:
        return []
    block = _read(exif)
    texts = [(tag, block.get(tag)) for tag in _TEXTS]
    return [(tag, "s", 0, text, True) for tag, text in texts if isinstance(text, str)]


def append_groups(path: Path, exif: bytes) -> None:
    """Append the groups to a file, and a directory that knows them in the place of its own.

    ``tifffile`` leaves these tags to others.

    Args:
        path: a little-endian classic TIFF of one page.
        exif: an EXIF block.

    Raises:
        OSError: the file cannot be changed.
    """
    block = _read(exif)
    groups = {group: dict(block.get_ifd(group)) for group in _GROUPS}
    with path.open("r+b") as stream:
        places = {group: _append(stream, group, values) for group, values in groups.items() if values}
        if not places:
            return
        stream.seek(4)
        stream.seek(struct.unpack("<L", stream.read(4))[0])
        (count,) = struct.unpack("<H", stream.read(2))
        entries = [stream.read(12) for _ in range(count)]
        entries += [struct.pack("<HHLL", group, _LONG, 1, place) for group, place in places.items()]
        entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
        start = _even_end(stream)
        stream.write(struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<L", 0))
        stream.seek(4)
        stream.write(struct.pack("<L", start))


def _append(stream: BinaryIO, group: int, values: dict[int, Any]) -> int:
    """Append one group; its offset in the file."""
    start = _even_end(stream)
    alone = Image.Exif()
    alone.endian = "<"
    alone[group] = values
    # A directory of one entry, which points to the group, as if it stood at `start`.
    directory = alone.tobytes(start).removeprefix(b"Exif\0\0")[8:]
    stream.write(directory)
    return int(struct.unpack_from("<HHHLL", directory)[-1])


def _even_end(stream: BinaryIO) -> int:
    """Go to the end; directories begin at even offsets."""
    stream.write(b"\0" * (stream.seek(0, os.SEEK_END) % 2))
    return stream.tell()


def _read(exif: bytes) -> Image.Exif:
    block = Image.Exif()
    block.load(exif)
    return block
