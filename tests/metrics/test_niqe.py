import pickle
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from octosr.errors import ConfigError
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.functional import block_count, fit_niqe, niqe, niqe_detailed
from octosr.metrics.functional.niqe import FULL_RANK_BLOCKS
from octosr.metrics.niqe import Niqe
from octosr.metrics.niqe_engine import blocks
from octosr.metrics.niqe_engine.variants import VARIANTS
from octosr.metrics.parameters import pristine_model

pytestmark = pytest.mark.usefixtures("two_threads")  # the images are shared out over cores
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


def test_fixed_values():
    """Measured once with pyiqa 0.1.16 and the official parameters; pyiqa's own test allows 6 percent."""
    assert float(Niqe().score(formula_image())) == pytest.approx(FORMULA_NIQE, rel=1e-4)
    assert float(Niqe("skvideo").score(formula_image())) == pytest.approx(FORMULA_NIQE_SKVIDEO, rel=1e-4)


@pytest.mark.parametrize("variant", ["niqe", "niqe_study", "niqe_basicsr"])
def test_batch_equals_singles(variant):
    images = textured(3, 200, 200)
    metric = Niqe(variant=variant)
    scores = metric.score(images)
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64
    singles = torch.cat([metric.score(image[None]) for image in images])
    torch.testing.assert_close(scores, singles, rtol=1e-12, atol=0)
    assert torch.equal(scores, metric.score(images))


@pytest.mark.parametrize("variant", ["niqe", "niqe_study", "niqe_basicsr"])
def test_layout_type_and_number_of_threads_change_nothing(variant):
    images = textured(2, 200, 200)
    expected = niqe(images, variant=variant)
    strided = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    wide = torch.cat([images, images], -1)[..., :200]
    for same in (strided, wide, images.double(), images.clone().requires_grad_()):
        scores = niqe(same, variant=variant)
        torch.testing.assert_close(scores, expected, rtol=1e-12, atol=0)
        assert not scores.requires_grad
    for number in (1, 3):
        torch.set_num_threads(number)
        torch.testing.assert_close(niqe(images, variant=variant), expected, rtol=1e-12, atol=0)
        assert torch.get_num_threads() == number


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_tensors_give_what_loops_do(variant):
    """The way of accelerators, walked on the CPU."""
    images, color_space = textured(3, 300, 300), variant.color_spaces[0]
    expected = blocks.image_features(images, variant, color_space)
    scales = blocks._with_tensors(images[..., :288, :288], variant, color_space, sharpness=True)
    found = blocks._features(scales, len(images), variant)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("variant", ["niqe", "niqe_study", "niqe_basicsr"])
def test_gpu_equals_cpu(variant):
    images = textured(2, 300, 300)
    scores = niqe(images.cuda(), variant=variant)
    torch.testing.assert_close(scores.cpu(), niqe(images, variant=variant), rtol=1e-5, atol=0)


def test_variants_by_any_of_their_names():
    images = textured(1, 200, 200)
    for short, name in (("official", "niqe"), ("study", "niqe_study"), ("basicsr", "niqe_basicsr")):
        assert Niqe(variant=short).name == name
        assert Niqe(variant=short).definition == Niqe(variant=name).definition
        assert torch.equal(niqe(images, variant=short), niqe(images, variant=name))
    assert len({round(float(niqe(images, variant=v)), 6) for v in ("niqe", "study", "basicsr")}) == 3
    with pytest.raises(ConfigError, match="Did you mean 'study'"):
        niqe(images, variant="studi")


def test_blocks_stand_beside_the_score():
    images = textured(2, 200, 300)
    images[1, :, :108, :108] = 0.5  # beyond the reach of the filters; no coefficient of a flat block is negative
    scores, details = Niqe().score_detailed(images)
    assert list(details) == list(Niqe.detail_names) == ["blocks"]
    assert details["blocks"].tolist() == [6, 5]
    assert torch.equal(scores, niqe(images))
    assert niqe_detailed(textured(1, 200, 200), variant="study")[1].tolist() == [4]
    assert FULL_RANK_BLOCKS == 37


def test_flat_blocks_are_left_out_as_pyiqa_does():
    arch = pytest.importorskip("pyiqa.archs.niqe_arch")
    images = textured(2, 288, 288)
    images[0, :, :96, :96] = 0.25
    images[1, :, 96:192] = 1.0
    model = pristine_model()
    parameters = torch.from_numpy(model.mean), torch.from_numpy(model.covariance)
    expected = arch.calculate_niqe(images, mu_pris_param=parameters[0], cov_pris_param=parameters[1])
    torch.testing.assert_close(niqe(images), expected, rtol=1e-5, atol=0)


def test_study_wants_squares_of_194_pixels():
    with pytest.raises(UnscorableImageError, match="194x194 at least"):
        niqe(textured(1, 193, 300), variant="study")
    with pytest.raises(UnscorableImageError, match="3x2 blocks"):
        niqe(textured(1, 200, 300), variant="study")
    assert niqe(textured(1, 200, 280), variant="study").isfinite().all()  # 2 blocks each way
    with pytest.raises(ConfigError, match="cuts no border off"):
        Niqe(variant="study", crop_border=4)
    with pytest.raises(ConfigError, match="color_space of niqe_study is pillow_l"):
        Niqe(variant="study", color_space="yiq")


def test_basicsr_wants_two_usable_blocks():
    with pytest.raises(UnscorableImageError, match="1 of its blocks have all features, of which it needs 2"):
        niqe(textured(1, 100, 100), variant="basicsr")


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


def test_pyiqa_is_not_needed():
    code = (
        "import sys; sys.modules['pyiqa'] = None\n"
        "import torch; from octosr.metrics.niqe import Niqe\n"
        "assert Niqe().score(torch.rand(1, 3, 96, 96)).isfinite().all()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_a_model_of_one_variant_is_refused_by_the_others(tmp_path):
    model = fit_niqe(textured(20, 200, 200), tmp_path / "own.npz", variant="study")
    assert niqe(textured(1, 200, 200), model, variant="study").isfinite().all()
    assert Niqe(str(tmp_path / "own.npz"), variant="study").model.sha256 == model.sha256
    with pytest.raises(ConfigError, match="fitted with variant=niqe_study"):
        niqe(textured(1), model)
    with pytest.raises(ConfigError, match="fitted with variant=niqe_study"):
        Niqe(str(tmp_path / "own.npz"))
