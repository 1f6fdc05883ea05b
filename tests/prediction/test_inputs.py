"""Which files are enlarged and where results go; what is refused before work starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from octosr.errors import ConfigError
from octosr.prediction.formats import CHOICES, check_format, kind_of, suffix_of
from octosr.prediction.inputs import find_jobs


def to_png(_: Path) -> str:
    return ".png"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name in (
        "a10.jpg",
        "a2.png",
        "trip/b.TIF",
        "trip/x.png/c.webp",
        "trip/.hidden.png",
        ".cache/d.png",
        "notes.txt",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def names(jobs: list) -> list[str]:
    return [job.name for job in jobs]


def test_a_folder_keeps_its_structure_in_natural_order(photos: Path, tmp_path: Path) -> None:
    jobs = find_jobs([str(photos)], tmp_path / "out", to_png)
    assert names(jobs) == ["a2.png", "a10.png", "trip/b.png", "trip/x.png/c.png"]  # x.png is a folder: looked into
    assert jobs[2].source == photos / "trip/b.TIF"
    assert jobs[2].target == tmp_path / "out/trip/b.png"


def test_a_file_a_pattern_and_a_list(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert names(find_jobs([str(photos / "trip/b.TIF")], out, to_png)) == ["b.png"]
    assert names(find_jobs([f"{photos}/*.png"], out, to_png)) == ["a2.png"]
    deep = find_jobs([f"{photos}/**/*.webp"], out, to_png)
    assert names(deep) == ["trip/x.png/c.png"]  # below the fixed part of the pattern
    both = find_jobs([str(photos / "a2.png"), str(photos / "trip")], out, to_png)
    assert names(both) == ["a2.png", "b.png", "x.png/c.png"]
    assert names(find_jobs([f"{photos}/*.png", str(photos / "a2.png")], out, to_png)) == ["a2.png"]  # once


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].png").write_bytes(b"x")
    assert names(find_jobs([str(tmp_path / "a[1].png")], tmp_path / "out", to_png)) == ["a[1].png"]


def test_a_pattern_relative_to_here(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    assert names(find_jobs(["*.jpg"], tmp_path / "out", to_png)) == ["a10.png"]
    assert names(find_jobs(["trip/*.TIF"], tmp_path / "out", to_png)) == ["b.png"]


def test_a_folder_that_a_pattern_names_like_an_image_is_named_later_as_unusable(photos: Path, tmp_path: Path) -> None:
    (photos / "plain").mkdir()
    jobs = find_jobs([f"{photos}/trip/*"], tmp_path / "out", to_png)
    assert [job.source.name for job in jobs] == ["b.TIF", "x.png"]


def test_results_inside_the_input_are_not_read_again(photos: Path) -> None:
    before = names(find_jobs([str(photos)], photos / "big", to_png))
    for name in before:
        (photos / "big" / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / "big" / name).write_bytes(b"x")
    assert names(find_jobs([str(photos)], photos / "big", to_png)) == before
    assert names(find_jobs([f"{photos}/**/*.webp", f"{photos}/**/*.png"], photos / "big", to_png))[1:] == [
        "a2.png",
        "trip/x.png",
    ]


def test_two_images_for_one_result_are_an_error_with_both_names(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.png"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"a\.jpg and .*a\.png: both .*a\.png\n.*format=same"):
        find_jobs([str(tmp_path / "in")], tmp_path / "out", to_png)
    assert len(find_jobs([str(tmp_path / "in")], tmp_path / "out", lambda path: suffix_of(path, "same"))) == 3


def test_a_result_never_takes_the_place_of_an_image(photos: Path) -> None:
    with pytest.raises(ConfigError, match=r"would overwrite images:\n.*a2\.png is an image to be read"):
        find_jobs([str(photos / "a2.png")], photos, to_png)
    assert len(find_jobs([str(photos / "a10.jpg")], photos, to_png)) == 1  # beside it, under another name: fine
    with pytest.raises(ConfigError, match="the input folder itself"):
        find_jobs([str(photos)], photos, to_png)


@pytest.mark.parametrize(
    ("given", "output", "message"),
    [
        ("nothing.png", "out", r"nothing\.png: there is no such file or folder \(looked in "),
        ("*.bmp", "out", "no file matches"),
        ("empty", "out", r"no image files there or in its subfolders \(bmp, jpeg"),
        ("a2.png", "notes.txt", "is a file. Name a folder"),
        ("a2.png", "large.png", "looks like an image. Name a folder"),
    ],
)
def test_nothing_to_do_and_wrong_outputs(photos: Path, given: str, output: str, message: str) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(ConfigError, match=message):
        find_jobs([str(photos / given)], photos / output, to_png)


def test_extensions_of_results() -> None:
    table = {
        "auto": {"a.jpg": ".png", "a.tif": ".tif", "a.TIFF": ".TIFF", "a.bmp": ".png", "a": ".png"},
        "same": {"a.jpg": ".jpg", "a.JPEG": ".JPEG", "a.webp": ".webp", "a": ".png"},
        "jpg": {"a.jpeg": ".jpeg", "a.png": ".jpg"},
        "tif": {"a.tiff": ".tiff", "a.png": ".tif"},
    }
    for choice, cases in table.items():
        assert choice in CHOICES
        for name, suffix in cases.items():
            assert suffix_of(Path(name), choice) == suffix
    assert (kind_of(Path("a.TIFF")).name, kind_of(Path("a.webp")).longest) == ("TIFF", 16383)


def test_misspelt_format_and_quality() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'jpg'"):
        check_format("jpgg", 95)
    with pytest.raises(ConfigError, match="between 1 and 100"):
        check_format("jpg", 101)
