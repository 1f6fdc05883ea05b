"""Unpacking of archives from anywhere (zip; tar, also compressed): all of it is checked before a byte is written.

Refused: names that lead out of the folder (absolute, ``..``, a Windows drive, a backslash), links and devices, two
names that are one on a disk that ignores letter case, encrypted members, more files or bytes than limits allow, and
bytes that come out of a compressed few (a bomb). Only image files are written; anything else is left in the archive.
"""

from __future__ import annotations

import lzma
import shutil
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from octosr.data.locate import EXTENSIONS
from octosr.errors import ArchiveError


@dataclass(frozen=True)
class Limits:
    """What an archive of images may at most be.

    Attributes:
        files: number of members.
        bytes: sum of their sizes when unpacked. The study's set has about 9,000 images; 64 GiB leave room for ten.
        ratio: unpacked size over packed size, for the whole and, in a zip, for each member; images hardly shrink.
        slack: bytes below which the ratio is not looked at: small texts shrink a lot, and do no harm.
    """

    files: int = 200_000
    bytes: int = 64 << 30
    ratio: float = 100.0
    slack: int = 16 << 20


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    packed: int | None
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its content."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> int:
    """Write the image files of an archive into a folder, with their paths in the archive.

    Args:
        archive: a zip file, or a tar file (plain, gzip, bzip2 or xz).
        folder: made where missing; should be empty, and be thrown away by the caller where this raises.
        limits: what is accepted, by default :class:`Limits`.

    Returns:
        The number of files written.

    Raises:
        ArchiveError: not an archive, damaged, or one of the things in the head of this module; names the member.
    """
    limits = limits if limits is not None else Limits()
    if not is_archive(archive):
        raise ArchiveError(
            f"{archive} is neither a zip nor a tar archive, or its end is missing. Download it again, or unpack it by "
            "other means and give the folder."
        )
    with _plain_errors(archive), _opened(archive) as members:
        wanted = _checked(archive, members(), limits)
        _check_room(archive, folder, sum(size for _, size in wanted.values()))
        for member in members():  # a second look, since a tar file is read from front to back
            if member.name in wanted:
                _write(archive, member, folder.joinpath(*wanted[member.name][0].parts))
    return len(wanted)


@contextmanager
def _plain_errors(archive: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ArchiveError(f"{archive} is damaged or was cut off ({error}). Download it again.") from error
    except NotImplementedError as error:
        raise ArchiveError(f"{archive}: {error}. Unpack it by other means and give the folder.") from error


@contextmanager
def _opened(archive: Path) -> Iterator[Callable[[], Iterator[_Member]]]:
    """A function that goes through the files of the archive; folders are passed over, all else that is odd raises."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield lambda: _zip_members(archive, zipped)
        return
    with tarfile.open(archive) as tar:
        yield lambda: _tar_members(archive, tar)


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> Iterator[_Member]:
    for info in zipped.infolist():
        kind = (info.external_attr >> 16) & 0o170000
        # orig_filename: zipfile itself cuts names at a NUL and turns the platform's separators
        name = info.orig_filename
        if kind not in (0, 0o100000, 0o040000):
            raise ArchiveError(_refusal(archive, name, "is a link or a device, not a file"))
        if info.flag_bits & 1:
            raise ArchiveError(f"{archive}: {name!r} is encrypted. Unpack it by other means and give the folder.")
        if info.is_dir():
            _safe(archive, name)
        else:
            yield _Member(name, info.file_size, info.compress_size, lambda info=info: zipped.open(info))  # type: ignore[misc]


def _tar_members(archive: Path, tar: tarfile.TarFile) -> Iterator[_Member]:
    for info in tar:
        if info.isdir():
            _safe(archive, info.name)
        elif not info.isreg() or info.issparse():
            raise ArchiveError(_refusal(archive, info.name, "is a link or a device, not a file"))
        else:
            yield _Member(info.name, info.size, None, lambda info=info: _tar_stream(tar, info))  # type: ignore[misc]


def _tar_stream(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(info)
    assert stream is not None  # a regular file
    return stream


def _checked(archive: Path, members: Iterator[_Member], limits: Limits) -> dict[str, tuple[PurePosixPath, int]]:
    """Path and size of each image by its member's name, once every member has passed."""
    packed = archive.stat().st_size
    total = 0
    names = _Names(archive)
    wanted: dict[str, tuple[PurePosixPath, int]] = {}
    for count, member in enumerate(members, 1):
        path = _safe(archive, member.name)
        total += member.size
        for over, said in (
            (count > limits.files, f"more than {limits.files:,} files"),
            (total > limits.bytes, f"more than {limits.bytes / 2**30:.3g} GiB when unpacked"),
            (_swells(member.size, member.packed, limits), f"{member.name!r} unpacks to over {limits.ratio:g} times"),
            (_swells(total, packed, limits), f"it unpacks to over {limits.ratio:g} times its size"),
        ):
            if over:
                raise ArchiveError(f"{archive} is not unpacked: {said}. If that is right, unpack it by other means.")
        names.add(path)
        if path.suffix.lower() in EXTENSIONS and not _is_junk(path):
            wanted[member.name] = (path, member.size)
    return wanted


class _Names:
    """The paths so far, to notice two that are one on a disk that ignores letter case or composes accents."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._files: dict[str, PurePosixPath] = {}
        self._folders: dict[str, PurePosixPath] = {}

    def add(self, path: PurePosixPath) -> None:
        for folder in list(path.parents)[:-1]:
            self._compare(folder, self._files.get(_folded(folder)))
            first = self._folders.setdefault(_folded(folder), folder)
            self._compare(folder, first if first != folder else None)
        key = _folded(path)
        self._compare(path, self._files.get(key) or self._folders.get(key))
        self._files[key] = path

    def _compare(self, path: PurePosixPath, other: PurePosixPath | None) -> None:
        if other is not None:
            raise ArchiveError(_refusal(self._archive, str(path), f"and {str(other)!r} are one name on many disks"))


def _swells(size: int, packed: int | None, limits: Limits) -> bool:
    return packed is not None and size > limits.slack and size > limits.ratio * max(packed, 1)


def _safe(archive: Path, name: str) -> PurePosixPath:
    """The path of a member below the folder it is unpacked into.

    Raises:
        ArchiveError: it would lie elsewhere, here or on Windows, or is no proper name.
    """
    path = PurePosixPath(name)
    if not path.parts or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ArchiveError(_refusal(archive, name, "is not a proper name"))
    if name.startswith("/") or "\\" in name or ":" in path.parts[0] or ".." in path.parts:
        raise ArchiveError(_refusal(archive, name, "leads out of the folder"))
    return path


def _folded(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def _is_junk(path: PurePosixPath) -> bool:
    """What a Mac puts beside the files, and hidden files."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _check_room(archive: Path, folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ArchiveError(
            f"{archive} needs {needed / 2**30:.3g} GiB in {folder.parent}, where {free / 2**30:.3g} GiB are free. "
            "Make room, or choose another data.root."
        )


def _write(archive: Path, member: _Member, target: Path) -> None:
    """Copy one member, never more bytes than it announced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.size
    with member.open() as stream, target.open("xb") as out:
        while block := stream.read(1 << 20):
            left -= len(block)
            if left < 0:
                raise ArchiveError(f"{archive}: {member.name!r} is larger than announced. Download the archive again.")
            out.write(block)
    if left:
        raise ArchiveError(f"{archive}: {member.name!r} is shorter than announced. Download the archive again.")


def _refusal(archive: Path, name: str, what: str) -> str:
    return (
        f"{archive} is not unpacked, since no archive of images needs this: {name!r} {what}. "
        "Get it from its source again; if you trust it, unpack it by other means and give the folder."
    )
