"""Diversity: against plain loops over pairs, and on sets that are collapsed, copied or fine."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from octosr.errors import MissingMetricError
from octosr.metrics import diversity as networks
from octosr.metrics.functional.diversity import diversity, findings
from octosr.metrics.functional.octaves import octaves, pyramid_side


def pictures(count: int, seed: int, side: int = 32) -> Tensor:
    """Smooth random images, with structure at several scales."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.full((count, 3, side, side), 0.5)
    for size, strength in ((4, 0.2), (8, 0.1), (32, 0.03)):
        noise = torch.randn(count, 3, size, size, generator=generator) * strength
        total = total + nn.functional.interpolate(noise, size=side, mode="bilinear")
    return total.clamp(0, 1)


def reference(samples: Tensor, reals: Tensor) -> dict[str, float]:
    """The definition written out in NumPy: one pair after another."""

    def bands(image: np.ndarray) -> list[np.ndarray]:
        found = []
        while image.shape[-1] > 4:
            height = image.shape[-1] // 2
            coarse = image.reshape(3, height, 2, height, 2).mean((2, 4))
            found.append(image - coarse.repeat(2, 1).repeat(2, 2))
            image = coarse
        return [*found, image]

    def all_bands(images: Tensor) -> list[list[np.ndarray]]:
        return [bands(image) for image in images.double().numpy()]

    real, made, flipped = all_bands(reals), all_bands(samples), all_bands(reals.flip(-1))
    spread = [
        math.sqrt(np.mean(np.var(np.stack([image[b] for image in real]), axis=0, ddof=1))) for b in range(len(real[0]))
    ]

    def distance(x: list[np.ndarray], y: list[np.ndarray]) -> float:
        return math.sqrt(np.mean([np.mean((p - q) ** 2) / s**2 for p, q, s in zip(x, y, spread, strict=True)]))

    def pairs(images: list) -> float:
        return float(np.mean([distance(x, y) for x, y in itertools.combinations(images, 2)]))

    nearest = [min(distance(x, y) for y in [*real, *flipped]) for x in made]
    across = float(np.mean([[distance(x, y) for y in real] for x in made]))
    others = [
        min(distance(real[i], y) for j in range(len(real)) if j != i for y in (real[j], flipped[j]))
        for i in range(len(real))
    ]
    return {
        "energy": 2 * across - pairs(made) - pairs(real), "pairwise": pairs(made), "pairwise_reals": pairs(real),
        "nearest": float(torch.tensor(nearest).median()), "nearest_reals": float(torch.tensor(others).median()),
    }  # fmt: skip


def test_it_is_what_a_loop_over_all_pairs_gives() -> None:
    samples, reals = pictures(7, 1), pictures(9, 2)
    found = diversity(samples, reals)
    for name, value in reference(samples, reals).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-5, abs=1e-6), name
    assert (found.samples, found.reals) == (7, 9)
    assert found.pairwise_reals == pytest.approx(math.sqrt(2), rel=0.1)  # the unit is the reals' own variation


def test_octaves_split_an_image_without_loss_and_bytes_are_read_as_such() -> None:
    images = pictures(3, 0)
    bands = octaves(images, 32)
    assert [band.shape[1] for band in bands] == [3 * 32**2, 3 * 16**2, 3 * 8**2, 3 * 4**2]
    energy = sum(band.double().square().sum() * 4**n for n, band in enumerate(bands))
    assert float(energy) == pytest.approx(float(images.double().square().sum()), rel=1e-6)
    eight = (images * 255).round().to(torch.uint8)
    assert torch.allclose(octaves(eight, 32)[0], octaves(eight.float() / 255, 32, batch=2)[0])
    with pytest.raises(ValueError, match="too small"):
        pyramid_side(3, 64)


def test_a_fresh_set_of_the_same_kind_is_fine_and_sizes_may_differ() -> None:
    found = diversity(pictures(40, 1, side=64), pictures(40, 2))
    assert found.pairwise_ratio == pytest.approx(1, abs=0.15)
    assert found.nearest_ratio == pytest.approx(1, abs=0.15)
    assert found.copies() == 0
    assert abs(found.gap) < 0.05
    assert findings(found) == []
    brighter = diversity(pictures(40, 1).add(0.2), pictures(40, 2))
    assert brighter.gap > 0.2


@pytest.mark.parametrize(("spread", "severity"), [(0.3, "warn"), (0.02, "fail")])
def test_collapse_is_said_with_the_figures(spread: float, severity: str) -> None:
    reals = pictures(30, 2)
    one = pictures(1, 3)
    samples = one + spread * (pictures(30, 4) - 0.5)
    found = diversity(samples, reals)
    (level, line), *more = findings(found)
    assert not more
    assert level == severity
    assert line.startswith("mode collapse")
    assert f"{found.pairwise_ratio:.2f}x the {found.pairwise_reals:.3f}" in line
    assert findings(found, warn_below=found.pairwise_ratio * 0.99, fail_below=0, gap_above=10) == []


def test_copies_are_memorisation_also_when_they_are_mirrored() -> None:
    reals = pictures(20, 2)
    copied = torch.cat((reals[:10], reals[10:].flip(-1)))
    found = diversity(copied + 0.001 * torch.randn(copied.shape, generator=torch.Generator().manual_seed(0)), reals)
    assert found.copies() == 1
    assert found.nearest_image.tolist() == list(range(20))
    assert [level for level, line in findings(found) if "memorisation" in line] == ["fail"]
    assert found.pairwise_ratio == pytest.approx(1, abs=0.1)  # they are varied all the same


def test_noise_is_varied_but_not_fine() -> None:
    reals = pictures(20, 2)
    noise = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = diversity(noise, reals)
    assert found.pairwise_ratio > 1
    assert found.gap > 0.5
    (level, line), *more = findings(found)
    assert (level, more) == ("warn", [])
    assert line.startswith("unlike the training images: a sample's distance")
    (level, line), *more = findings(found, far_above=100)  # far as a set still
    assert (level, more) == ("warn", [])
    assert line.startswith("unlike the training images: as sets")
    assert f"{found.gap:.2f}x" in line
    assert findings(found, far_above=100, gap_above=found.gap) == []


def test_too_few_or_equal_real_images_give_no_verdict() -> None:
    alone = diversity(pictures(3, 0), pictures(1, 1))
    assert math.isnan(alone.pairwise_ratio)
    assert math.isnan(alone.nearest_ratio)
    assert findings(alone) == []
    equal = diversity(pictures(3, 0), pictures(1, 1).expand(4, -1, -1, -1))
    assert math.isnan(equal.pairwise_ratio)
    assert math.isnan(equal.copies())


@pytest.fixture
def backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in torchvision's layout with random weights."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    path = tmp_path / "alexnet.pth"
    torch.save(alexnet(weights=None).state_dict(), path)
    return path


def test_lpips_by_vectors_is_lpips_by_pairs(backbone: Path) -> None:
    measure = networks.LpipsDiversity(weights=backbone)
    samples, reals = pictures(3, 1, side=48), pictures(2, 2, side=48)
    found = measure(samples, reals)
    pairs = [float(measure.network(a[None], b[None], normalize=True)) for a, b in itertools.combinations(samples, 2)]
    assert found.pairwise == pytest.approx(float(np.mean(pairs)), rel=1e-4)
    near = [
        min(float(measure.network(a[None], b[None], normalize=True)) for r in reals for b in (r, r.flip(-1)))
        for a in samples
    ]
    assert found.nearest_distance.tolist() == pytest.approx(near, rel=1e-4)
    with pytest.raises(MissingMetricError, match="at least 31 pixels"):
        measure(pictures(2, 0, side=16), reals)


def test_networks_that_are_not_there_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingMetricError, match=r"alexnet-owt-7be5be79\.pth"):
        networks.LpipsDiversity()
    with pytest.raises(MissingMetricError, match=r"diversity\.inception=PATH"):
        networks.find_inception(None)
    (tmp_path / "bad.pth").write_bytes(b"nonsense")
    pytest.importorskip("torch_fidelity")
    with pytest.raises(MissingMetricError, match=r"bad\.pth is not the Inception network"):
        networks.load_inception(networks.find_inception(tmp_path / "bad.pth"))


class Means(nn.Module):
    """Features that need no weights: the image's means over a 2 x 2 grid, 12 numbers."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images.double() / 255, 2).flatten(1)


def test_fid_and_kid_are_the_formulas() -> None:
    samples, reals = ((pictures(n, s) * 255).to(torch.uint8) for n, s in ((40, 1), (50, 2)))
    found = networks.fid_and_kid(samples, reals, Means())
    x, y = (Means()(images).numpy() for images in (samples, reals))
    from scipy.linalg import sqrtm

    product = sqrtm(np.cov(x.T) @ np.cov(y.T))
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * np.real(product))
    assert found["fid"] == pytest.approx(expected, rel=1e-3)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    k_xx, k_yy, k_xy = kernel(x, x), kernel(y, y), kernel(x, y)
    n, m = len(x), len(y)
    mmd = (k_xx.sum() - np.trace(k_xx)) / (n * (n - 1)) + (k_yy.sum() - np.trace(k_yy)) / (m * (m - 1))
    mmd -= 2 * k_xy.mean()
    assert abs(found["kid"] - mmd) < 3 * found["kid_std"]
    assert networks.fid_and_kid(samples, reals, Means()) == found  # the subsets do not depend on what was drawn before
    assert networks.fid_and_kid(reals, reals, Means())["fid"] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_the_inception_network_is_built_from_its_file(tmp_path: Path) -> None:
    inception = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "load_state_dict_from_url", lambda *a, **k: {})
        patch.setattr(nn.Module, "load_state_dict", lambda self, state: None)
        network = inception.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    path = tmp_path / "inception.pth"
    torch.save(network.state_dict(), path)
    images = (pictures(4, 0) * 255).to(torch.uint8)
    found = networks.fid_and_kid(images, images, networks.load_inception(path))
    assert found["fid"] == pytest.approx(0, abs=1e-3)
