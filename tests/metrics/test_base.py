import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from octosr.errors import OctoSRError
from octosr.metrics.base import ImageMetric
from octosr.metrics.checks import UnscorableImageError, _precision_settings, check_images, exact_arithmetic


class Brightness(ImageMetric):
    higher_is_better = True
    default_name = "brightness"

    @property
    def definition(self):
        return {"implementation": "test"}

    def _score(self, images, reference):
        return (
            images.flatten(1).double().mean(1) if reference is None else (images - reference).flatten(1).abs().mean(1)
        )


class Distance(Brightness):
    compares_with = "hr"


def images(n, side=16, seed=0):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_mean_and_per_image_against_numpy():
    x = images(7)
    metric = Brightness()
    metric.update(x[:3], torch.tensor([6, 0, 1]))
    metric.update(x[3:], torch.tensor([2, 3, 4, 5]))
    expected = x.double().numpy().mean(axis=(1, 2, 3))
    np.testing.assert_allclose(float(metric.compute()), expected.mean(), rtol=1e-12)
    index, scores = metric.per_image()
    assert index.tolist() == list(range(7))
    np.testing.assert_allclose(scores.numpy(), expected[[1, 2, 3, 4, 5, 6, 0]], rtol=1e-12)
    assert scores.dtype == torch.float64
    assert index.dtype == torch.int64


def test_one_image():
    metric = Brightness()
    metric.update(images(1), torch.tensor([5]))
    assert float(metric.compute()) == float(images(1).double().mean())


def test_repeated_images_count_once():
    x = images(3)
    metric = Brightness()
    metric.update(x, torch.tensor([0, 1, 2]))
    metric.update(x[[2, 0]], torch.tensor([2, 0]))
    np.testing.assert_allclose(float(metric.compute()), x.double().mean().item(), rtol=1e-12)
    assert len(metric.per_image()[0]) == 3


def test_one_index_for_two_images_is_an_error():
    metric = Brightness()
    metric.update(torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)]), torch.tensor([4, 4]))
    with pytest.raises(ValueError, match=r"index 4 .* \(0 and 1\)"):
        metric.compute()


def test_infinite_scores_repeat_without_complaint():
    metric = Brightness()
    metric.scores, metric.index = [torch.tensor([torch.inf, torch.inf]).double()], [torch.tensor([1, 1])]
    assert metric._distinct()[1].tolist() == [torch.inf]


def test_forward_gives_the_mean_of_the_batch_and_accumulates():
    x = images(4)
    metric = Brightness()
    for part, index in ((x[:1], [0]), (x[1:], [1, 2, 3])):
        np.testing.assert_allclose(float(metric(part, torch.tensor(index))), part.double().mean().item(), rtol=1e-12)
    np.testing.assert_allclose(float(metric.compute()), x.double().mean().item(), rtol=1e-12)


def test_nothing_scored_is_an_error_also_after_reset():
    metric = Brightness()
    with pytest.raises(ValueError, match="no image"):
        metric.per_image()
    metric.update(images(2), torch.arange(2))
    metric.compute()
    metric.reset()
    with pytest.raises(ValueError, match="no image"):
        metric.compute()
    metric.update(images(1), torch.arange(1))
    assert len(metric.per_image()[0]) == 1


def test_pickle_and_copy_keep_the_state():
    metric = Brightness(name="mine")
    metric.update(images(3), torch.arange(3))
    for other in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric)):
        assert other.name == "mine"
        assert float(other.compute()) == float(metric.compute())


def test_nothing_goes_into_a_checkpoint_or_an_optimizer():
    metric = Brightness()
    metric.update(images(3), torch.arange(3))
    assert metric.state_dict() == {}
    assert list(metric.parameters()) == []


@pytest.mark.parametrize(
    ("bad", "quoted"),
    [
        (torch.full((2, 3, 8, 8), 1.5), r"values from 1\.5 to 1\.5"),
        (torch.full((2, 3, 8, 8), -0.25), r"from -0\.25"),
        (torch.full((2, 3, 8, 8), float("nan")), "nan"),
        (torch.full((2, 3, 8, 8), float("inf")), "inf"),
        (torch.zeros(2, 1, 8, 8), r"\(2, 1, 8, 8\)"),
        (torch.zeros(3, 8, 8), r"\(3, 8, 8\)"),
        (torch.zeros(2, 3, 0, 8), r"\(2, 3, 0, 8\)"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "uint8"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.bfloat16), "bfloat16"),
    ],
)
def test_wrong_images_are_quoted(bad, quoted):
    with pytest.raises(UnscorableImageError, match=quoted) as caught:
        Brightness().score(bad)
    assert isinstance(caught.value, OctoSRError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("value", "taken"),
    [
        *[(value, True) for value in (0.0, -0.0, 1.0, 5e-7, -5e-7, 1 + 5e-7)],
        *[(value, False) for value in (-2e-6, 1 + 2e-6, float("nan"), -float("nan"), -float("inf"))],
    ],
)
def test_the_range_holds_for_every_single_value(value, taken, dtype):
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[1, 2, 3, 4] = value
    if taken:
        check_images(x, "brightness")
        return
    with pytest.raises(UnscorableImageError) as caught:
        check_images(x, "brightness")
    assert caught.value.positions == (1,)


def test_the_bad_image_of_a_batch_is_named():
    x = images(3)
    x[1] += 1
    with pytest.raises(UnscorableImageError, match="image 1 of the batch") as caught:
        Brightness().score(x)
    assert caught.value.positions == (1,)
    assert pickle.loads(pickle.dumps(caught.value)).positions == (1,)


def test_a_score_that_is_not_a_number_is_an_error():
    class Broken(Brightness):
        def _score(self, images, reference):
            return torch.tensor([1.0, torch.nan])

    with pytest.raises(UnscorableImageError, match="image 1 of the batch"):
        Broken().score(images(2))


def test_reference_is_checked():
    metric, x = Distance(), images(2)
    assert metric.score(x, x).tolist() == [0, 0]
    with pytest.raises(ValueError, match="none was given"):
        metric.score(x)
    with pytest.raises(UnscorableImageError, match="same size"):
        metric.score(x, x[..., :8])
    with pytest.raises(UnscorableImageError, match="reference"):
        metric.score(x, x + 1)


@pytest.mark.parametrize("index", [torch.arange(3), torch.zeros(2), torch.zeros(2, 1, dtype=torch.int64)])
def test_wrong_index_is_quoted(index):
    with pytest.raises(ValueError, match="index must be int64"):
        Brightness().update(images(2), index)


@pytest.fixture
def matmul_precision():
    before = torch.get_float32_matmul_precision()
    yield torch.set_float32_matmul_precision
    torch.set_float32_matmul_precision(before)


def test_settings_around_a_score_are_put_aside_and_restored(matmul_precision):
    matmul_precision("medium")
    a, b = images(1, 64).flatten(1), images(1, 64, seed=1).flatten(1).T
    exact = (a.double() @ b.double()).float()

    def settings():
        return [getattr(owner, name) for owner, name, _ in _precision_settings()]

    before = settings()
    with torch.autocast("cpu", torch.bfloat16):
        with exact_arithmetic(torch.device("cpu")):
            assert settings() == [value for _, _, value in _precision_settings()]
            assert not torch.is_grad_enabled()
            torch.testing.assert_close(a @ b, exact, rtol=1e-6, atol=0)
        assert (a @ b).dtype == torch.bfloat16
    with pytest.raises(RuntimeError, match="inside"), exact_arithmetic(torch.device("cpu")):
        raise RuntimeError("inside")
    assert settings() == before
    assert torch.get_float32_matmul_precision() == "medium"
    assert torch.is_grad_enabled()


NEW_SWITCHES = """
import torch
from octosr.metrics.checks import exact_arithmetic
if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with exact_arithmetic(torch.device("cpu")):
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
"""


def test_torchs_newer_precision_switches_are_no_obstacle():
    """In a process of its own: once they are used, torch refuses to answer about the older ones."""
    subprocess.run([sys.executable, "-c", NEW_SWITCHES], check=True, timeout=300)
