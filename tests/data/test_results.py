"""Images that others made: where they may lie, and which LR image each belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from octosr.catalog import DATASETS
from octosr.data.results import find_results, match, results_folder
from octosr.errors import ConfigError, MissingDataError


@pytest.mark.parametrize(
    ("result", "lr"),
    [
        ("low_P0033", "low_P0033"),
        ("low_P0033_x2_x4", "low_P0033"),
        ("low_P0033_x2_x4_res", "low_P0033"),
        ("low_P0033_res", "low_P0033"),
        ("low_P0033_x8", "low_P0033"),
        ("low_P0033-SR", "low_P0033"),
        ("low_P0033_out", "low_P0033"),
        ("P0033", "low_P0033"),
        ("P0033_x2_x4", "low_P0033"),
        ("low_tile7_sr", "tile7"),
        ("boat_x8", "boat_x8"),
        ("boat_x8_x2_x4", "boat_x8"),
        ("seed1000", None),
        ("seed1000_res", None),
        ("17", None),
        ("17_res", None),
        ("low_17", "low_17"),
        ("low_17_x2_x4", "low_17"),
        ("23", "23"),
        ("P0033_mine", None),
        ("other", None),
    ],
)
def test_names(result: str, lr: str | None) -> None:
    found = match([result], ["low_P0033", "tile7", "boat_x8", "low_17", "low_1000", "23"])
    assert found == ({} if lr is None else {result: lr})


def test_a_suffix_of_ones_own() -> None:
    assert match(["a_mine", "low_b_mine_x8"], ["low_a", "low_b"], "_mine") == {
        "a_mine": "low_a",
        "low_b_mine_x8": "low_b",
    }
    assert match(["_mine"], ["low_"], "_mine") == {}


@pytest.mark.parametrize("dataset", list(DATASETS))
def test_names_of_the_study_are_matched_in_every_dataset(dataset: str) -> None:
    stem = DATASETS[dataset].example
    names = [f"{stem}_x2_x4", "seed1000", "0"]
    assert match(names, [stem]) == {names[0]: stem}
    # the same without its LR images, by the form of the study's names
    assert match([f"{stem}_x2_x4_res"], [stem]) == {f"{stem}_x2_x4_res": stem}


def test_ambiguous_names_are_an_error_that_lists_both() -> None:
    with pytest.raises(ConfigError, match=r"a_x2 and a_x2_x4 fit the LR image a\n.*technique\.paired=false"):
        match(["a_x2", "a_x2_x4"], ["a"])
    with pytest.raises(ConfigError, match=r"  a_x4 fits the LR images low_a_x4 and a\n"):
        match(["a_x4"], ["a", "low_a_x4"])
    with pytest.raises(ConfigError, match=r"a and low_a fit the LR image a"):
        match(["a", "low_a"], ["a"])


def images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "place",
    [
        "isaid",
        "ISAID",
        "Satellite/isaid",
        "sisa",
        "DAN/isaid",
        "dan/sisa",
        "isaid/dan",
        "isaid/HR",
        "dan/isaid/HR",
        ".",
    ],
)
def test_places(tmp_path: Path, place: str) -> None:
    expected = images(tmp_path / place, "a.png")
    images(tmp_path / "ships", "b.png")
    images(tmp_path / "moesr" / "isaid", "c.png")
    assert results_folder(tmp_path, "isaid", "dan").resolve() == expected.resolve()


def test_more_than_one_place_and_none(tmp_path: Path) -> None:
    images(tmp_path / "isaid", "a.png")
    images(tmp_path / "dan" / "isaid", "a.png")
    with pytest.raises(ConfigError, match=r"in more than one place: .*isaid, .*dan/isaid"):
        results_folder(tmp_path, "isaid", "dan")
    with pytest.raises(MissingDataError, match=r"holds no images of ships.*dan/ships/"):
        results_folder(tmp_path, "ships", "dan")
    with pytest.raises(MissingDataError, match=r"technique\.root=.*none is not there"):
        results_folder(tmp_path / "none", "ships", "dan")


def test_results_are_named_after_their_lr_images(tmp_path: Path) -> None:
    folder = images(tmp_path, "low_b10_x2_x4.png", "low_b2_x2_x4.JPG", "seed7.png", "notes.txt", ".hidden.png")
    found = find_results(tmp_path, "ships", "dan", ["low_b2", "low_b10", "low_b11"])
    assert found.files == {
        "low_b2": folder / "low_b2_x2_x4.JPG",
        "low_b10": folder / "low_b10_x2_x4.png",
        "seed7": folder / "seed7.png",
    }
    assert list(found.files) == ["low_b2", "low_b10", "seed7"]
    assert found.unpaired == ("seed7",)
    assert found.without == ("low_b11",)
    apart = find_results(tmp_path, "ships", "dan", ["low_b2"], paired=False)
    assert set(apart.files) == set(apart.unpaired) == {"low_b2_x2_x4", "low_b10_x2_x4", "seed7"}


def test_without_lr_images_the_study_s_own_names_are_recognised(tmp_path: Path) -> None:
    images(tmp_path, "low_P0033_x2_x4.png", "P0034_x2_x4.png", "seed1000.png", "17_res.png", "holiday_x8.png")
    found = find_results(tmp_path, "isaid", "dan", None)
    assert set(found.files) == {"low_P0033", "low_P0034", "seed1000", "17_res", "holiday_x8"}
    assert set(found.unpaired) == {"seed1000", "17_res", "holiday_x8"}
    assert found.without == ()


def test_two_files_of_one_name_are_an_error(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "a.jpg")
    with pytest.raises(ConfigError, match=r"a\.jpg and a\.png share a name|a\.png and a\.jpg share a name"):
        find_results(tmp_path, "isaid", "dan", ["a"])
