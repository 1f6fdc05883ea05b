"""Data of the image explorer: scores, files, and pictures within a budget."""

import base64
import io
import json
from pathlib import Path

import example
import pandas as pd
import pytest
from PIL import Image

from octosr.study.page import ImageRoots, Limits, collect
from octosr.study.page.previews import LADDER
from octosr.study.page.text import script_json


@pytest.fixture(scope="module")
def explorer(study):
    """One image of each dataset is embedded."""
    return study.explorer(Limits(rounds=1))


def dataset(explorer, name):
    return next(d for d in explorer.index["datasets"] if d["name"] == name)


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_scores_are_those_of_the_frame(study, explorer):
    techniques = [t["name"] for t in explorer.index["techniques"]]
    assert techniques == ["dan", "fastgan", "moesr", "bicubic", "lanczos"]
    rows = study.frame[study.frame["technique"] != "fastgan"]
    compared = 0
    for row in rows.itertuples():
        image = next(i for i in dataset(explorer, row.dataset)["images"] if i["n"] == row.image)
        value = image["s"][["niqe", "maniqa"].index(row.metric)][techniques.index(row.technique)]
        assert abs(value - row.value) < 1e-6 * abs(row.value)
        compared += 1
    assert compared == 14 * 4 * 2


def test_samples_of_a_gan_are_images_of_their_own(explorer):
    images = dataset(explorer, "isaid")["images"]
    samples = [image for image in images if "g" in image]
    assert [image["n"] for image in samples] == ["seed0000", "seed0001"]
    assert all(len(row) == 1 for image in samples for row in image["s"])
    # Files: only the generator's own; the LR image of the same place in the list is none of its business.
    assert all(sum(map(bool, image["f"])) == 1 for image in samples)


def test_links_lead_to_the_files(study, explorer):
    report, found = study.folder / "report", 0
    for data in explorer.index["datasets"]:
        for image in data["images"]:
            for s, file in enumerate(image["f"]):
                if file == 1:
                    assert (report / data["folders"][s] / f"{image['n']}.png").resolve().is_file()
                    found += 1
    assert found == 13 * 5 + 8  # all but the image with the hostile name; a sample of FastGAN has one file
    hostile = next(i for i in dataset(explorer, "catsfaces")["images"] if i["n"] == example.XSS)
    assert {file for file in hostile["f"] if file} == {"%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E.png"}


def test_previews_show_the_images(study, explorer):
    preview = explorer.previews[0]
    item = explorer.index["datasets"][preview.dataset]["images"][preview.item]
    kinds = [source["kind"] for source in explorer.index["sources"]]
    assert opened(preview.uris[kinds.index("lr")]).size == (128, 128)
    for s, uri in preview.uris.items():
        if kinds[s] == "technique":
            file = explorer.index["datasets"][preview.dataset]["folders"][s] + f"{item['n']}.png"
            with Image.open((study.folder / "report" / file).resolve()) as full:
                small, reduced = opened(uri).convert("L"), full.convert("L")
                assert small.size == reduced.size == (512, 512)
                difference = sum(abs(a - b) for a, b in zip(small.tobytes(), reduced.tobytes(), strict=True))
                assert difference / 512**2 < 3
    dan = kinds.index("technique")
    assert list(preview.kernels) == [dan]
    assert opened(preview.kernels[dan][0]).size == (21, 21)
    assert preview.size == (512, 512)


def test_thumbnails_of_all_lr_images(explorer):
    for data, sheet in zip(explorer.index["datasets"], explorer.sheets, strict=True):
        paired = [k for k, image in enumerate(data["images"]) if "g" not in image]
        assert set(paired) <= set(sheet.places)
        assert opened(sheet.uri).size == (20 * 48, 48)


def test_the_budget_is_kept_by_smaller_pictures_first(study):
    frame = study.frame[study.frame["dataset"] == "isaid"]
    steps = []
    for budget in (1_000_000, 300_000, 150_000):
        explorer = study.explorer(Limits(bytes=budget, rounds=3, planned=3), frame)
        assert 0 < sum(preview.bytes for preview in explorer.previews) <= budget
        steps.append(LADDER.index(explorer.step))
    assert steps[0] < steps[1] < steps[2]


def test_the_number_of_files_is_bounded(study):
    explorer = study.explorer(Limits(files=60))
    assert len(explorer.previews) == 12  # three rounds over four datasets, five files each
    assert sum(len(preview.uris) for preview in explorer.previews) <= 60


def test_less_room_keeps_the_most_important(study):
    explorer = study.explorer(Limits(rounds=3))
    room = explorer.bytes - explorer.previews[-1].bytes - 1
    assert explorer.fitted(explorer.bytes) is explorer
    assert explorer.fitted(room).previews == explorer.previews[:-2]
    assert explorer.fitted(0).bytes == 0


def test_the_same_study_gives_the_same_data(study):
    first, second = (study.explorer(Limits(rounds=2)) for _ in range(2))
    other_order = study.frame.sample(frac=1, random_state=1).sort_values("metric", ascending=False)
    shuffled = study.explorer(Limits(rounds=2), other_order)
    assert first == second
    assert first.pictures() == shuffled.pictures()
    assert first.index["datasets"] == shuffled.index["datasets"]


def test_scores_without_images(study):
    explorer = collect(study.frame, study.folder / "report", ImageRoots(), higher_is_better=example.DIRECTIONS)
    assert not explorer.previews
    assert explorer.bytes == 0
    assert not any(any(image["f"]) for data in explorer.index["datasets"] for image in data["images"])
    assert explorer.images == 14 + 8


def test_an_unreadable_image_is_named(study, tmp_path: Path):
    for technique in ("dan", "moesr"):
        folder = tmp_path / "hr" / technique / "isaid"
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(folder / "a.png")
    (tmp_path / "hr/dan/isaid/a.png").write_bytes(b"not an image")
    row = {"technique": "dan", "dataset": "isaid", "domain": "Satellite", "image": "a", "file": "a.png"}
    frame = pd.DataFrame([row | {"metric": "niqe", "value": float("nan")}])
    explorer = collect(frame, tmp_path / "report", ImageRoots(tmp_path / "hr"), higher_is_better={})
    assert list(explorer.problems) == ["../hr/dan/isaid/a.png"]
    assert "UnidentifiedImageError" in explorer.problems["../hr/dan/isaid/a.png"]
    assert len(explorer.previews[0].uris) == 1
    # A technique with images but without scores is there as well.
    assert [t["name"] for t in explorer.index["techniques"]] == ["dan", "moesr"]


def test_samples_that_the_readers_marked_pair_with_nothing(tmp_path: Path):
    row = {"dataset": "x", "domain": "Other", "metric": "niqe", "value": 1.0, "file": "7"}
    frame = pd.DataFrame([row | {"technique": "dan", "image": "7"}, row | {"technique": "my_gan", "image": "my_gan:7"}])
    images = collect(frame, tmp_path, ImageRoots(), higher_is_better={"niqe": False}).index["datasets"][0]["images"]
    assert [(image["n"], image.get("g")) for image in images] == [("7", None), ("7", 1)]


def test_odd_scores_survive_json(tmp_path: Path):
    row = {"technique": "dan", "dataset": "x", "domain": "Other", "metric": "psnr"}
    values = {"a": float("inf"), "b": float("-inf"), "c": float("nan"), "d\udcff": 1 / 3}
    frame = pd.DataFrame([row | {"image": k, "file": k, "value": v} for k, v in values.items()])
    explorer = collect(frame, tmp_path, ImageRoots(), higher_is_better={"psnr": True})
    images = json.loads(script_json(explorer.index))["datasets"][0]["images"]
    assert [image["s"][0][0] for image in images] == ["Infinity", "-Infinity", None, 0.3333333]
    assert images[3]["n"] == "d\N{REPLACEMENT CHARACTER}"


def test_bicubic_is_computed_where_no_technique_is_bicubic(study):
    frame = study.frame[study.frame["technique"] == "moesr"]
    roots = ImageRoots(data=study.folder / "data")
    limits = Limits(rounds=1)
    explorer = collect(frame, study.folder / "report", roots, higher_is_better=example.DIRECTIONS, limits=limits)
    kinds = [source["kind"] for source in explorer.index["sources"]]
    assert kinds == ["lr", "bicubic", "technique", "reference"]
    uri = explorer.previews[0].uris[1]
    assert opened(uri).size == (1024, 1024)
