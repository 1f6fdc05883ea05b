"""Archives: honest ones are unpacked, everything else is refused before a byte is written."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from octosr.data.archives import Limits, is_archive, unpack
from octosr.errors import ArchiveError

HONEST = {"LR/a.png": b"first", "LR/b.JPG": b"second", "readme.txt": b"no image", "__MACOSX/LR/._a.png": b"junk"}


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("LR/", b"")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, members: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
def test_images_are_unpacked_and_nothing_else(tmp_path: Path, name: str) -> None:
    archive = (zipped if name.endswith("zip") else tarred)(tmp_path / name, HONEST)
    assert is_archive(archive)
    assert unpack(archive, tmp_path / "out") == 2
    assert files(tmp_path / "out") == {"LR/a.png": b"first", "LR/b.JPG": b"second"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../evil.png", "leads out"),
        ("LR/../../evil.png", "leads out"),
        ("/etc/evil.png", "leads out"),
        ("C:evil.png", "leads out"),
        ("C:/evil.png", "leads out"),
        ("..\\evil.png", "leads out"),
        ("LR/a\nb.png", "not a proper name"),
        ("lr/A.PNG", "one name on many disks"),
        ("LR/A.png", "one name on many disks"),
        ("LR/a.png", "one name on many disks"),
        ("LR/a.png/b.png", "one name on many disks"),
        ("LR", "one name on many disks"),
    ],
)
@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_no_honest_archive_has(tmp_path: Path, name: str, says: str, make: object) -> None:
    path = tmp_path / ("set.zip" if make is zipped else "set.tar")
    with zipfile.ZipFile(path, "w") if make is zipped else tarfile.open(path, "w") as archive:
        for member in ("LR/a.png", name):
            if isinstance(archive, zipfile.ZipFile):
                info = zipfile.ZipInfo("x")
                info.filename = info.orig_filename = member
                archive.writestr(info, b"data")
            else:
                entry = tarfile.TarInfo(member)
                entry.size = 4
                archive.addfile(entry, io.BytesIO(b"data"))
    with pytest.raises(ArchiveError, match=says):
        unpack(path, tmp_path / "out" / "inner")
    assert files(tmp_path / "out") == {}
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "out") == [path.name]  # nothing beside it either


def test_accents_that_are_one_name_on_a_mac(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="one name on many disks"):
        unpack(zipped(tmp_path / "set.zip", {"\u00e9.png": b"1", "e\u0301.png": b"2"}), tmp_path / "out")


def test_links_devices_and_encryption(tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        link = tarfile.TarInfo("LR/c.png")
        link.type, link.linkname = kind, "/etc/passwd"
        with pytest.raises(ArchiveError, match=r"'LR/c\.png' is a link or a device"):
            unpack(tarred(tmp_path / "set.tar", HONEST, link), tmp_path / "out")
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("c.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="is a link or a device"):
        unpack(path, tmp_path / "out")
    content = bytearray(zipped(tmp_path / "locked.zip", {"a.png": b"x"}).read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # the flag of an encrypted member
    (tmp_path / "locked.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="is encrypted"):
        unpack(tmp_path / "locked.zip", tmp_path / "out")
    assert files(tmp_path / "out") == {}


def test_bombs(tmp_path: Path) -> None:
    zeros = bytes(1 << 20)
    small = Limits(files=3, bytes=5 << 20, ratio=100, slack=1 << 10)
    bomb = zipped(tmp_path / "bomb.zip", {"a.png": zeros})
    with pytest.raises(ArchiveError, match=r"'a\.png' unpacks to over 100 times"):
        unpack(bomb, tmp_path / "out", small)
    with pytest.raises(ArchiveError, match="over 100 times its size"):
        unpack(tarred(tmp_path / "bomb.tar.gz", {"a.png": zeros}), tmp_path / "out", small)
    with pytest.raises(ArchiveError, match="more than 3 files"):
        unpack(tarred(tmp_path / "many.tar", {f"{k}.png": b"x" for k in range(4)}), tmp_path / "out", small)
    with pytest.raises(ArchiveError, match=r"more than 0\.00488 GiB"):
        unpack(tarred(tmp_path / "big.tar", {f"{k}.png": zeros * 2 for k in range(3)}), tmp_path / "out", small)
    assert files(tmp_path / "out") == {}
    assert unpack(bomb, tmp_path / "out") == 1  # 1 MiB does no harm


def test_damage_is_told_from_wickedness(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "set.zip", {"a.png": bytes(range(256)) * 40}, zipfile.ZIP_STORED).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArchiveError, match="neither a zip nor a tar"):
        unpack(tmp_path / "cut.zip", tmp_path / "out")
    flipped = bytearray(whole)
    flipped[600] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(flipped)
    with pytest.raises(ArchiveError, match=r"damaged or was cut off.*CRC"):
        unpack(tmp_path / "flipped.zip", tmp_path / "out")
    packed = tarred(tmp_path / "set.tar.gz", {"a.png": bytes(range(256)) * 40, "b.png": bytes(9000)}).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ArchiveError, match="Download it again"):
        unpack(tmp_path / "cut.tar.gz", tmp_path / "out2")
    (tmp_path / "note.zip").write_text("not an archive")
    assert not is_archive(tmp_path / "note.zip")
