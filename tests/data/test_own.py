"""A dataset from anyone's images: what is chosen, what is made of it, and what it may not replace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from octosr.data.datamodule import ImageDataModule
from octosr.data.decode import read_image_uint8
from octosr.data.locate import OWN_MARKER, locate
from octosr.data.own_names import LONGEST, unique_stems
from octosr.data.own_place import build_own
from octosr.data.sources import study_notes
from octosr.degradation.resize import resize
from octosr.errors import ConfigError, MissingDataError
from octosr.hashing import file_sha256


def picture(path: Path, width: int, height: int, seed: int = 0, **save: object) -> npt.NDArray[np.uint8]:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(60, 196, (9, 11, 3), dtype=np.uint8)  # no overshoot is cut off
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    image.save(path, **save)
    return np.asarray(image)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Seven images, three of which cannot be used."""
    folder = tmp_path / "photos"
    for k, (width, height) in enumerate([(200, 150), (131, 300), (1100, 1041), (128, 128)]):
        picture(folder / ("a" if k else "b") / f"view{k % 3}.png", width, height, seed=k)
    picture(folder / "small.png", 127, 500)
    (folder / "broken.jpg").write_bytes(b"not an image")
    shutil.copy(folder / "a" / "view2.png", folder / "copy.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def build(photos: Path, root: Path, **settings: object):
    return build_own(photos, root, "isaid", **{"count": 100, "seed": 0, **settings})  # type: ignore[arg-type]


def test_squares_are_cut_and_reduced(photos: Path, tmp_path: Path) -> None:
    built = build(photos, tmp_path / "data")
    assert built.new
    left_out = dict(built.selection.left_out)
    assert left_out["small.png"] == "too small: 127x500, and an LR image is 128x128"
    assert left_out["broken.jpg"].startswith("not an image")
    assert sum(reason.startswith("the same file as") for reason in left_out.values()) == 1
    assert len(built.selection.chosen) == 4
    files = locate("isaid", tmp_path / "data")
    assert {path.stem for path in files.lr} >= {"a_view0", "b_view0", "view1"}  # two files were called view0
    (large,) = files.references
    assert large in ("view2", "copy")
    entry = json.loads((built.folder / OWN_MARKER).read_text())["images"]["a_view0"]
    assert entry["source"] == "a/view0.png"
    assert entry["sha256"] == file_sha256(photos / "a" / "view0.png")
    assert (entry["width"], entry["height"], entry["box"]) == (128, 128, [0, 0, 128, 128])
    assert entry["results"] == {"LR": file_sha256(built.folder / "LR" / "a_view0.png")}
    whole = read_image_uint8(photos / "a" / "view0.png")
    assert np.array_equal(read_image_uint8(built.folder / "LR" / "a_view0.png"), whole)
    # 1100x1041: the square begins at column 29, and both results are of that square
    pixels = read_image_uint8(photos / "a" / "view2.png")[:, 29 : 29 + 1041]
    square = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()
    for path, side in ((built.folder / "LR" / f"{large}.png", 128), (files.references[large], 1024)):
        expected = resize(square, (side, side), filter="bicubic", border="renormalise")  # Pillow's, in our own code
        found = torch.from_numpy(read_image_uint8(path)).permute(2, 0, 1)
        difference = (found - expected.clamp(0, 255)).abs()
        assert difference.max() < 1.2  # Pillow rounds after each of the two axes
        assert difference.mean() < 0.4
        with Image.open(path) as image:
            assert image.text["octosr:data"] == "own images"  # type: ignore[attr-defined]


def test_the_set_is_of_kind_own_and_never_the_studys(photos: Path, tmp_path: Path) -> None:
    build(photos, tmp_path / "data")
    files = locate("isaid", tmp_path / "data")
    assert files.own
    assert not files.standin
    assert study_notes(files) == []
    module = ImageDataModule("isaid", root=tmp_path / "data")
    module.find()
    assert module.kind == "own"
    assert len(module.references) == 1


def test_the_choice_depends_on_the_seed_and_the_names_alone(tmp_path: Path) -> None:
    for k in range(12):
        picture(tmp_path / "photos" / f"{k}.png", 130, 130, seed=k)

    def sources(where: str, **settings: object) -> list[str]:
        built = build(tmp_path / "photos", tmp_path / where, count=5, **settings)
        assert len(list((built.folder / "LR").iterdir())) == 5
        assert not (built.folder / "HR").exists()
        return [chosen.source for chosen in built.selection.chosen]

    first = sources("one", seed=0)
    assert sources("two", seed=0) == first
    assert sources("three", seed=1) != first
    shutil.rmtree(tmp_path / "one")
    next(iter(tmp_path.glob("photos/*"))).touch()
    (tmp_path / "photos" / first[0]).write_bytes(b"broken")
    again = sources("one", seed=0)
    assert len(set(first) & set(again)) == 4  # the broken one is replaced, the others stay


def test_again_changes_nothing_and_other_things_are_not_overwritten(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    (photos / "a" / "view2.png").unlink()  # the large one and its copy, which take long
    (photos / "copy.png").unlink()
    folder = build(photos, root).folder
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert not build(photos, root).new
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == stamps
    with pytest.raises(ConfigError, match="built from other images or with other settings"):
        build(photos, root, count=2)
    (folder / "LR" / "view1.png").write_bytes(b"damaged")
    with pytest.raises(ConfigError, match=r"own\.overwrite=true"):
        build(photos, root)
    built = build(photos, root, overwrite=True)
    assert built.new
    assert built.moved == root / "replaced" / "isaid-1"
    assert (built.moved / "LR" / "view1.png").read_bytes() == b"damaged"
    assert {path.name for path in root.iterdir()} == {"isaid", "replaced", ".prepare.lock"}
    theirs = root / "Aerial" / "ships"
    picture(theirs / "low_boat0.png", 128, 128)
    with pytest.raises(ConfigError, match="holds images that this command did not build"):
        build_own(photos, root, "ships", count=2, seed=0)
    assert (theirs / "low_boat0.png").is_file()
    built = build_own(photos, root, "ships", count=2, seed=0, overwrite=True)
    assert (root / "replaced" / "ships-1" / "low_boat0.png").is_file()
    assert locate("ships", root).folder == built.folder


def test_nothing_usable_is_an_error_with_the_reasons_and_leaves_nothing(tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "tiny.png", 20, 20)
    with pytest.raises(MissingDataError, match=r"None of the 1 images.*\n  tiny\.png: too small: 20x20"):
        build(tmp_path / "photos", tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".prepare.lock"]
    with pytest.raises(MissingDataError, match="from=FOLDER"):
        build(tmp_path / "none", tmp_path / "data")
    with pytest.raises(ConfigError, match="count=0"):
        build(tmp_path / "photos", tmp_path / "data", count=0)


def test_names() -> None:
    assert unique_stems(["x/A.png", "y/a.jpg"]) == ["x_A", "y_a"]
    assert unique_stems(["a_b.png", "a/b.png", "c/b.png"]) == ["a_b", "a_b_2", "c_b"]
    assert unique_stems(["what? is:this*.png"]) == ["what_ is_this_"]
    assert unique_stems(["\u00e9.png", "d/e\u0301.png"]) == ["\u00e9", "d_e\u0301"]
    long = unique_stems(["x" * 240 + "1.png", "x" * 240 + "2.png"])
    assert len(set(long)) == 2
    assert all(len(stem) <= LONGEST for stem in long)
