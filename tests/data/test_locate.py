"""Finding the datasets, in every layout people keep them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from octosr.catalog import DATASETS
from octosr.data.locate import images_under, locate, locate_folder, missing_message, natural_key
from octosr.errors import ConfigError, MissingDataError


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("place", "inner"),
    [
        ("isaid", ""),
        ("isaid", "LR"),
        ("isaid", "lr"),
        ("Satellite/isaid", ""),
        ("Satellite/isaid", "LR"),
        ("satellite/isaid", "Lr"),
        ("SATELLITE/iSAID", ""),
    ],
)
def test_layouts(tmp_path: Path, place: str, inner: str) -> None:
    touch(tmp_path / place / inner, "a.png", "b.JPG", "c.JpEg", "d.tif", "e.TIFF", "f.bmp", "g.webp")
    touch(tmp_path / place / inner, "notes.txt", ".hidden.png", "._a.png", "a.png.bak", "h.gif")
    touch(tmp_path / place / inner / "sub.png", "z.png")
    files = locate("isaid", tmp_path)
    assert [path.name for path in files.lr] == ["a.png", "b.JPG", "c.JpEg", "d.tif", "e.TIFF", "f.bmp", "g.webp"]
    assert (files.name, files.folder, files.standin, files.references) == ("isaid", tmp_path / place, False, {})


def test_natural_order(tmp_path: Path) -> None:
    touch(tmp_path / "ships", "boat10.png", "boat2.png", "Boat1.png", "boat02.jpg", "3.png", "a.png")
    assert [p.name for p in locate("ships", tmp_path).lr] == [
        "3.png", "a.png", "Boat1.png", "boat02.jpg", "boat2.png", "boat10.png",
    ]  # fmt: skip
    names = ["a", "1", "a1b", "a1", "10", "2", "", "A1", "²", "a٣"]
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


def test_references_and_marker(tmp_path: Path) -> None:
    touch(tmp_path / "isaid" / "LR", "a.png", "b.png", "c.png")
    touch(tmp_path / "isaid" / "hr", "a.jpg", "c.png", "other.png")
    touch(tmp_path / "isaid", "STANDIN.json")
    touch(tmp_path / "refs" / "isaid", "b.png", "c.TIF")
    files = locate("isaid", tmp_path)
    assert files.standin
    assert {stem: path.name for stem, path in files.references.items()} == {"a": "a.jpg", "c": "c.png"}
    files = locate("isaid", tmp_path, tmp_path / "refs")
    assert {stem: path.name for stem, path in files.references.items()} == {"a": "a.jpg", "b": "b.png", "c": "c.TIF"}
    touch(tmp_path / "flat", "a.png")
    touch(tmp_path / "flat" / "HR", "a.png")
    assert set(locate_folder("folder", tmp_path / "flat").references) == {"a"}
    touch(tmp_path / "own", "a.jpg")
    assert locate_folder("folder", tmp_path / "flat", tmp_path / "own").references["a"].parent == tmp_path / "own"
    with pytest.raises(ConfigError, match="reference_root"):
        locate("isaid", tmp_path, tmp_path / "nowhere")
    touch(tmp_path / "refs" / "ships", "a.png")  # references of another dataset only: none for this one, no error
    assert locate_folder("flowers", tmp_path / "flat", tmp_path / "refs").references.keys() == {"a"}


def test_two_files_of_one_stem(tmp_path: Path) -> None:
    touch(tmp_path / "isaid", "a.png", "a.jpg", "b.png")
    with pytest.raises(ConfigError, match=r"isaid/a\.jpg and a\.png\nRename"):
        locate("isaid", tmp_path)


def test_two_places(tmp_path: Path) -> None:
    touch(tmp_path / "isaid")
    touch(tmp_path / "Satellite" / "isaid", "a.png")
    assert locate("isaid", tmp_path).folder == tmp_path / "Satellite" / "isaid"  # an empty folder is no place
    touch(tmp_path / "isaid", "a.png")
    with pytest.raises(ConfigError, match="more than one place"):
        locate("isaid", tmp_path)


def test_missing(tmp_path: Path) -> None:
    touch(tmp_path / "isaid", "readme.txt")
    with pytest.raises(MissingDataError, match="1 dataset not found: isaid"):
        locate("isaid", tmp_path)
    with pytest.raises(MissingDataError, match="not there"):
        locate_folder("folder", tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match="no image files"):
        locate_folder("folder", tmp_path / "isaid")
    with pytest.raises(MissingDataError, match="a file, not a folder"):
        locate_folder("folder", tmp_path / "isaid" / "readme.txt")


def test_one_message_for_all(tmp_path: Path) -> None:
    root = tmp_path / "my data"
    message = missing_message(list(DATASETS), root)
    assert message.count("prepare.py dataset=all") == 3  # stand-ins, from Kaggle, from an archive
    assert "14 datasets not found: condoaerial, massachbuildings" in message
    assert f"{root}/<Domain>/<dataset>/" in message
    assert f"  python prepare.py dataset=all source=standin 'data.root={root}'" in message
    assert "https://www.kaggle.com/datasets/valdivinosantiago/dl-blindsr-datasets" in message
    assert f"The folder {root} itself is not there." in message


def test_images_under(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "notes.txt")
    touch(tmp_path / "a", "10.png", "9.JPG")
    touch(tmp_path / ".thumbnails", "x.png")
    found = [path.relative_to(tmp_path).as_posix() for path in images_under(tmp_path)]
    assert found == ["a/9.JPG", "a/10.png", "b.png"]
    with pytest.raises(MissingDataError, match="hr_root"):
        images_under(tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match="no image files"):
        images_under(touch(tmp_path / "empty"))


def test_dangling_link_is_not_ignored(tmp_path: Path) -> None:
    touch(tmp_path / "isaid", "a.png")
    (tmp_path / "isaid" / "b.png").symlink_to(tmp_path / "gone.png")
    assert [path.name for path in locate("isaid", tmp_path).lr] == ["a.png", "b.png"]
