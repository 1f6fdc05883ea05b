"""Stand-ins: what is laid where, marked, repeatable, and never over somebody else's files."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from octosr.catalog import DATASETS, find
from octosr.data.demo import build_demo
from octosr.data.photographs import PHOTOGRAPHS, load_photograph
from octosr.data.standin import build_standins, numbered_stem
from octosr.errors import ConfigError


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def root(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    build_standins(root, list(DATASETS), demo)
    return root


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", DATASETS)
def test_images_are_marked_named_and_of_the_domain(root, name):
    dataset = find(name)
    marker = json.loads((root / name / "STANDIN.json").read_text())
    files = sorted((root / name / "LR").iterdir())
    assert marker["kind"] == "STAND-IN"
    assert {f"LR/{path.name}" for path in files} == set(marker["files"])
    assert len(files) == 6
    photographs = {p.name: p for p in PHOTOGRAPHS}
    for path in files:
        assert path.suffix == ".png"
        assert dataset.is_study_stem(path.stem), path.name
        entry = marker["files"][f"LR/{path.name}"]
        photograph = photographs[entry["photograph"]]
        assert photograph.domain == dataset.domain.lower()
        left, top, width, height = entry["box"].values()
        with Image.open(path) as image:
            assert image.text["octosr"] == "STAND-IN"
            assert image.text["Copyright"] == photograph.licence
            crop = load_photograph(photograph)[top : top + height, left : left + width]
            assert np.array_equal(np.asarray(image), crop)
            assert image.size == (128, 128)


def test_no_two_images_are_the_same(root):
    pixels = [np.asarray(Image.open(path)).tobytes() for path in root.rglob("*.png")]
    assert len(pixels) == len(set(pixels)) == 14 * 6


def test_the_same_alone_as_with_the_others_and_again(root, demo, tmp_path):
    done: list[str] = []
    assert build_standins(tmp_path, ["isaid", "flowers"], demo, advance=done.append)[0] == tmp_path / "isaid"
    assert done == ["isaid", "flowers"]
    assert hashes(tmp_path / "isaid") == hashes(root / "isaid")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    build_standins(tmp_path, ["isaid", "flowers"], demo)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}


def test_another_count_replaces_an_older_standin(root, demo, tmp_path):
    build_standins(tmp_path, ["catsfaces"], demo, count=2)
    assert len(list((tmp_path / "catsfaces" / "LR").iterdir())) == 2
    (tmp_path / "catsfaces" / ".DS_Store").write_bytes(b"left by a file manager")
    build_standins(tmp_path, ["catsfaces"], demo)
    assert hashes(tmp_path / "catsfaces") == hashes(root / "catsfaces")


@pytest.mark.parametrize("place", ["isaid", "iSAID/LR", "Satellite/isaid", "satellite/ISAID/LR"])
def test_real_images_are_never_touched(demo, tmp_path, place):
    mine = tmp_path / place / "low_P0033.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"low_P0033\.png") as error:
        build_standins(tmp_path, ["ships", "isaid"], demo)
    assert "dataset=[ships]" in str(error.value)
    assert mine.read_bytes() == b"mine"
    assert not (tmp_path / "ships").exists(), "nothing may be written when one folder is refused"


def test_a_changed_or_added_file_is_somebody_elses(demo, tmp_path):
    build_standins(tmp_path, ["ships"], demo)
    image = tmp_path / "ships" / "LR" / "low_boat0.png"
    kept = image.read_bytes()
    image.write_bytes(b"replaced by the real one")
    with pytest.raises(ConfigError, match="low_boat0"):
        build_standins(tmp_path, ["ships"], demo)
    image.write_bytes(kept)
    (tmp_path / "ships" / "LR" / "low_boat99.png").write_bytes(b"a real one")
    with pytest.raises(ConfigError, match="low_boat99"):
        build_standins(tmp_path, ["ships"], demo)


def test_a_broken_marker_or_a_link_is_not_ours(demo, tmp_path):
    (tmp_path / "ships").mkdir()
    (tmp_path / "ships" / "STANDIN.json").write_text("{")
    with pytest.raises(ConfigError, match=r"STANDIN\.json"):
        build_standins(tmp_path, ["ships"], demo)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "isaid").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="isaid"):
        build_standins(tmp_path, ["isaid"], demo)


def test_unknown_dataset_and_too_many_images(demo, tmp_path):
    with pytest.raises(ConfigError, match="isaid"):
        build_standins(tmp_path, ["isadi"], demo)
    with pytest.raises(ConfigError, match="stand-in images for Fauna"):
        build_standins(tmp_path, ["catsfaces"], demo, count=10_000)


def test_numbered_stems():
    assert [numbered_stem(find("condoaerial"), k) for k in (0, 12)] == ["low_000", "low_012"]
    assert numbered_stem(find("deepglobe"), 5) == "low_111335_sat_05"
    assert numbered_stem(find("ships"), 3) == "low_boat3"
