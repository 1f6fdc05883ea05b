"""Models of pristine images learnt from one's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from octosr.errors import ConfigError, MissingDataError
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.functional import fit_niqe, niqe
from octosr.metrics.niqe_engine import gaussian
from octosr.metrics.niqe_engine.blocks import image_features
from octosr.metrics.niqe_engine.variants import VARIANTS
from octosr.metrics.niqe_fit import main
from octosr.metrics.parameters import pristine_model


@pytest.fixture(scope="module")
def folder(demo_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sharp photographs: the demo set's HR tiles, 4 blocks each."""
    assert len(list((demo_cache / "demo-v1" / "pairs" / "HR").glob("*.png"))) >= 12
    return demo_cache / "demo-v1" / "pairs" / "HR"


def batch(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255


@pytest.mark.slow
def test_sharp_images_are_nearer_than_blurred_ones(folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.glob("*.png"))
    held_out, learnt = files[::6], [f for i, f in enumerate(files) if i % 6]
    model = fit_niqe(learnt, tmp_path / "own.npz", sharpness=0.3)
    differences = []
    for file in held_out:
        with Image.open(file) as image:
            sharp, blurred = (niqe(batch(i), model) for i in (image, image.filter(ImageFilter.GaussianBlur(3))))
        differences.append(float(blurred - sharp))
    assert np.mean(differences) > 1
    assert np.median(differences) > 1  # a tile has 4 blocks only, so single ones may err


def test_saved_and_read_again_it_is_the_same(folder: Path, tmp_path: Path) -> None:
    model = fit_niqe(folder, tmp_path / "new" / "own.npz", sharpness=0.3)
    again = pristine_model(tmp_path / "new" / "own.npz")
    np.testing.assert_array_equal(again.mean, model.mean)
    np.testing.assert_array_equal(again.covariance, model.covariance)
    assert (again.sha256, again.variant) == (model.sha256, "niqe") == (model.sha256, model.variant)
    assert fit_niqe(str(folder), sharpness=0.3).sha256 == model.sha256
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["own.npz"]


def test_only_sharp_blocks_count() -> None:
    """A block at half contrast has half the deviation, below 0.75 of the sharpest."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(40, 3, 96, 192, generator=generator)
    images[..., 96:] = (images[..., 96:] - 0.5) * 0.5 + 0.5
    model = fit_niqe(images)
    features, sharpness = image_features(images, VARIANTS["niqe"], "yiq")
    assert (sharpness[:, 1] < 0.75 * sharpness[:, 0]).all()
    mean, covariance = gaussian.fit(features[:, 0][None])
    np.testing.assert_allclose(model.mean, mean[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(model.covariance, np.cov(features[:, 0].numpy().T), rtol=1e-9, atol=1e-15)
    assert covariance.shape == (1, 36, 36)
    with np.errstate(all="raise"):
        all_blocks = fit_niqe(images, sharpness=0.0)
    assert not np.allclose(all_blocks.mean, model.mean, rtol=1e-6)


def test_what_cannot_be_learnt_from_is_said(folder: Path, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(MissingDataError, match=r"5 images gave 20 sharp blocks.*needs 37: add about 5 more images"):
        fit_niqe(torch.rand(5, 3, 192, 192, generator=generator))
    with pytest.raises(MissingDataError, match=r"gave 0 sharp blocks.*add other images"):
        fit_niqe(torch.full((3, 3, 192, 192), 0.5))
    with pytest.raises(MissingDataError, match="none were given"):
        fit_niqe([])
    with pytest.raises(MissingDataError, match="no image in"):
        fit_niqe(tmp_path)
    with pytest.raises(MissingDataError, match="not a folder"):
        fit_niqe(tmp_path / "none")
    with pytest.raises(UnscorableImageError, match=r"image 0.*95x192 pixels"):
        fit_niqe([torch.rand(3, 192, 95)])
    (tmp_path / "bad.png").write_bytes(b"not an image")
    with pytest.raises(MissingDataError, match=r"bad\.png cannot be read"):
        fit_niqe(tmp_path)
    with pytest.raises(ConfigError, match="sharpness"):
        fit_niqe(folder, sharpness=1.0)
    with pytest.raises(ConfigError, match=r"saved as \.npz"):
        fit_niqe(folder, tmp_path / "own.mat")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.png"]


def test_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "own.npz"
    assert main([str(folder), str(out), "--sharpness", "0.3"]) == 0
    assert pristine_model(out).sha256 in capsys.readouterr().out
    assert main([str(tmp_path / "none"), str(out)]) == 1
    assert "not a folder of images" in capsys.readouterr().err


def test_command_as_it_is_typed() -> None:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "octosr.metrics.niqe_fit", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert "pristine images" in done.stdout
