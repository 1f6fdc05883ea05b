import math
import pickle

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.fidelity import Psnr, Ssim


def pair(n=3, height=40, width=56):
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(n, 3, height, width, generator=generator)
    noise = torch.rand(n, 3, height, width, generator=generator) - 0.5
    return images, (images * 0.8 + 0.1 + 0.2 * noise).clamp(0, 1)


def psnr_reference(x, y):
    x, y = x.double().numpy(), y.double().numpy()
    return [10 * math.log10(1 / np.mean((a - b) ** 2)) for a, b in zip(x, y, strict=True)]


def ssim_reference(x, y):
    """Wang et al. 2004 by scipy: Gaussian window, interior only, channel by channel."""

    def mean(a):
        return gaussian_filter(a, 1.5, truncate=3.5)[5:-5, 5:-5]

    values = []
    for image, reference in zip(x.double().numpy(), y.double().numpy(), strict=True):
        channels = []
        for a, b in zip(image, reference, strict=True):
            ma, mb = mean(a), mean(b)
            va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
            c1, c2 = 0.01**2, 0.03**2
            channels.append(((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())
        values.append(np.mean(channels))
    return values


@pytest.mark.parametrize(
    ("metric", "reference", "tolerance"),
    [(Psnr(), psnr_reference, 1e-7), (Ssim(), ssim_reference, 1e-9)],  # torchmetrics keeps ln(10) in float32
)
def test_values_against_numpy_and_batch_equals_singles(metric, reference, tolerance):
    x, y = pair()
    scores = metric.score(x, y)
    assert scores.dtype == torch.float64
    np.testing.assert_allclose(scores.numpy(), reference(x, y), rtol=tolerance)
    singles = torch.cat([metric.score(a[None], b[None]) for a, b in zip(x, y, strict=True)])
    torch.testing.assert_close(scores, singles, rtol=1e-12, atol=0)


def test_psnr_by_hand():
    zeros = torch.zeros(2, 3, 8, 8)
    np.testing.assert_allclose(Psnr().score(zeros, zeros + 0.1).numpy(), [20, 20], rtol=1e-6)
    np.testing.assert_allclose(Psnr().score(zeros, zeros + 1).numpy(), [0, 0], atol=1e-12)


def test_identical_images():
    x, y = pair(2)
    metric = Psnr()
    metric.update(torch.stack([x[0], x[1]]), torch.arange(2), torch.stack([x[0], y[1]]))
    scores = metric.per_image()[1]
    assert scores[0] == math.inf
    assert scores[1] < math.inf
    assert metric.compute() == math.inf
    np.testing.assert_allclose(Ssim().score(x, x).numpy(), 1, rtol=1e-12)


def test_ssim_agrees_with_the_full_map_of_torchmetrics():
    from torchmetrics.functional.image import structural_similarity_index_measure

    x, y = pair(2)
    _, full = structural_similarity_index_measure(x.double(), y.double(), data_range=1.0, return_full_image=True)
    expected = full[..., 5:-5, 5:-5].flatten(1).mean(1)
    torch.testing.assert_close(Ssim().score(x, y), expected, rtol=1e-9, atol=0)


def test_ssim_on_nearly_flat_images_keeps_its_digits():
    x, _ = pair(1)
    x, y = 0.8 + 0.01 * x, 0.799 + 0.01 * x
    np.testing.assert_allclose(Ssim().score(x, y).numpy(), ssim_reference(x, y), rtol=1e-9)


def test_ssim_needs_room_for_its_window():
    assert Ssim().score(torch.zeros(1, 3, 11, 11), torch.zeros(1, 3, 11, 11)).tolist() == [1]
    with pytest.raises(UnscorableImageError, match="16x10 pixels"):
        Ssim().score(torch.zeros(1, 3, 10, 16), torch.zeros(1, 3, 10, 16))


@pytest.mark.parametrize("metric", [Psnr(), Ssim()])
def test_direction_definition_and_pickle(metric):
    assert metric.higher_is_better
    assert metric.needs_reference
    definition = metric.definition
    assert definition["color_space"] == "rgb"
    assert definition["data_range"] == 1.0
    assert all(isinstance(v, (str, int, float, bool)) for v in definition.values())
    assert pickle.loads(pickle.dumps(metric)).definition == definition
