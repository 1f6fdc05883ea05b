"""The embedded demo set: its contents, its repeatability, and its degradation against independent references."""

import hashlib
import importlib.util
import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.data import demo, photographs
from octosr.data.blind8 import RADIUS, SIGMA, bicubic_matrix, degrade
from octosr.data.demo import build_demo, is_complete, plan_cuts, read_index
from octosr.data.demo_layout import LAYOUTS, Box
from octosr.data.photographs import PHOTOGRAPHS, find_photograph, load_photograph, pixels_sha256
from octosr.degradation.blur import blur
from octosr.degradation.kernels import isotropic_kernels
from octosr.degradation.resize import downsample
from octosr.errors import MissingDataError

STUDY_DOMAINS = {"aerial", "fauna", "flora", "medical", "satellite"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("cache"))


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=lambda p: p.name)
def test_photograph_is_the_recorded_one(photograph):
    pixels = load_photograph(photograph)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (photograph.height, photograph.width, 3)
    assert pixels_sha256(pixels) == photograph.sha256


def test_no_package_is_imported_and_nothing_is_downloaded(monkeypatch):
    for module in ("skimage", "sklearn", "pywt", "cartopy"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for photograph in PHOTOGRAPHS:
        assert find_photograph(photograph).is_file()
    assert not {"skimage", "sklearn", "pywt", "cartopy"} & set(sys.modules)


def test_missing_package_says_which_and_how_to_get_it(monkeypatch, tmp_path):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cartopy" else find_spec(name))
    with pytest.raises(MissingDataError, match=r"miriam.*package cartopy.*octosr\[demo\].*make setup"):
        build_demo(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()], "a half-made set was left behind"


def test_other_pixels_warn_and_are_noted_but_do_not_fail(monkeypatch, tmp_path, caplog):
    changed = [
        photographs.Photograph(**{**vars(p), "sha256": "0" * 64}) if p.name == "aero" else p for p in PHOTOGRAPHS
    ]
    monkeypatch.setattr(demo, "PHOTOGRAPHS", tuple(changed))
    with caplog.at_level(logging.WARNING):
        index = read_index(build_demo(tmp_path))
    assert "aero.npz" in caplog.text
    assert [name for name, entry in index["photographs"].items() if not entry["as_recorded"]] == ["aero"]


def test_counts_sizes_and_domains(folder):
    sizes = {"train": None, "LR": (128, 128), "HR": (1024, 1024), "pairs/HR": (256, 256), "pairs/LR": (32, 32)}
    counts = {}
    for part, size in sizes.items():
        files = sorted((folder / part).glob("*.png"))
        counts[part] = len(files)
        for path in files:
            height, width, _ = pixels_of(path).shape
            assert (width, height) == size if size else min(width, height) >= 128
        domains = {path.stem.split("-")[0] for path in files}
        assert domains - {"other"} == ({"medical"} if part == "HR" else STUDY_DOMAINS), part
    assert counts == {"train": 44, "LR": 21, "HR": 1, "pairs/HR": 21, "pairs/LR": 21}


def test_references_have_their_lr_image(folder):
    for reference, inputs in (("HR", "LR"), ("pairs/HR", "pairs/LR")):
        stems = {path.stem for path in (folder / reference).iterdir()}
        assert stems <= {path.stem for path in (folder / inputs).iterdir()}


def test_every_image_shows_something(folder):
    for path in folder.rglob("*.png"):
        grey = pixels_of(path).mean(axis=2)
        assert grey.std() > 3, path
        assert (grey < 8).mean() < 0.6 or "hubble" in path.name, path


def test_training_and_held_out_parts_share_no_pixel(folder):
    index = read_index(folder)
    boxes = {"train": {}, "held out": {}}
    for path, entry in index["files"].items():
        part = "train" if path.startswith("train/") else "held out"
        boxes[part].setdefault(entry["photograph"], []).append(Box(**entry["box"]))
    assert set(boxes["train"]) == set(boxes["held out"]) == {p.name for p in PHOTOGRAPHS}
    for photograph in PHOTOGRAPHS:
        size = Box(0, 0, photograph.width, photograph.height)
        train, held_out = boxes["train"][photograph.name], boxes["held out"][photograph.name]
        assert all(size.contains(box) for box in train + held_out)
        assert all(LAYOUTS[photograph.name].held_out.contains(box) for box in held_out)
        assert not any(a.overlaps(b) for a in train for b in held_out)
        assert not any(a.overlaps(b) for i, a in enumerate(train) for b in train[:i])
        tiles = [Box(*corner, 256, 256) for corner in LAYOUTS[photograph.name].tiles]
        assert not any(a.overlaps(b) for i, a in enumerate(tiles) for b in tiles[:i])


def test_cuts_are_native_pixels(folder):
    index = read_index(folder)
    for photograph in PHOTOGRAPHS:
        pixels = load_photograph(photograph)
        for path, entry in index["files"].items():
            if entry["photograph"] == photograph.name and "sigma" not in entry:
                left, top, width, height = entry["box"].values()
                assert np.array_equal(pixels_of(folder / path), pixels[top : top + height, left : left + width])


def test_identical_every_time_and_as_indexed(folder, tmp_path):
    again = hashes(build_demo(tmp_path))
    assert again == hashes(folder)
    index = json.loads((folder / "index.json").read_text())
    assert {path: entry["sha256"] for path, entry in index["files"].items()} | {
        "index.json": again["index.json"]
    } == again


def test_built_once_by_several_at_a_time_and_mended_when_damaged(tmp_path, monkeypatch):
    calls = []
    write = demo._write
    monkeypatch.setattr(demo, "_write", lambda target: (calls.append(target), write(target)))
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(build_demo, [tmp_path] * 3))
    assert made == [tmp_path / "demo-v1"] * 3
    assert len(calls) == 1
    (tmp_path / "demo-v1" / "LR" / "fauna-chelsea-1.png").write_bytes(b"cut short")
    assert not is_complete(tmp_path / "demo-v1")
    build_demo(tmp_path)
    assert len(calls) == 2
    assert is_complete(tmp_path / "demo-v1")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["demo-v1"]


def test_lr_images_agree_with_the_degradation_package(folder):
    """Two implementations: scipy and explicit matrices in float64 here, torch convolutions there."""
    for path, entry in read_index(folder)["files"].items():
        if not path.startswith("pairs/LR/"):
            continue
        hr = torch.from_numpy(pixels_of(folder / path.replace("LR", "HR")).copy()).permute(2, 0, 1)[None].double() / 255
        kernel = isotropic_kernels(torch.tensor([entry["sigma"]], dtype=torch.float64), 2 * RADIUS + 1)
        lr = downsample(blur(hr, kernel), 8).clamp(0, 1) * 255
        assert np.abs(lr[0].permute(1, 2, 0).numpy() - pixels_of(folder / path)).max() < 0.5 + 1e-3, path
        assert SIGMA[0] <= entry["sigma"] <= SIGMA[1]


def test_degradation_is_mild_where_it_should_be():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    reduced = degrade(ramp, 1.0)
    assert reduced.shape == (8, 32, 3)
    # Away from the border a linear ramp passes through a symmetric filter: the value at each pixel's centre.
    centre = (np.arange(32) + 0.5) * 8 - 0.5
    assert np.abs(reduced[4, 3:-3, 0] - centre[3:-3]).max() <= 0.5
    assert (degrade(np.full((16, 24, 3), 77, np.uint8), 4.0) == 77).all()


def test_bicubic_matrix_against_the_definition():
    """Row by row from the formula, with no vectorisation."""
    size, scale = 40, 8
    expected = np.zeros((size // scale, size))
    for i in range(size // scale):
        u, weights = (i + 0.5) * scale - 0.5, {}
        for j in range(-3 * size, 4 * size):
            x = abs(j - u) / scale
            cubic = 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0
            k = j % (2 * size)
            weights[j] = cubic
            expected[i, k if k < size else 2 * size - 1 - k] += cubic
        expected[i] /= sum(weights.values())
    assert np.abs(bicubic_matrix(size, scale) - expected).max() < 1e-14
    with pytest.raises(ValueError, match="not a multiple of 8"):
        bicubic_matrix(41)


def test_layouts_cover_every_photograph():
    assert set(LAYOUTS) == {p.name for p in PHOTOGRAPHS}
    names = [cut.path for p in PHOTOGRAPHS for cut in plan_cuts(p)]
    assert len(names) == len(set(names))
