import math
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2ycbcr
from skimage.metrics import structural_similarity

from octosr.errors import ConfigError
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.fidelity import LrConsistency, MsSsim, Psnr, Ssim
from octosr.metrics.functional import back_to_lr, compared_part, ms_ssim, psnr, ssim, y_channel


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


@pytest.mark.parametrize("metric", [Psnr(), Ssim(), MsSsim()])
def test_direction_definition_and_pickle(metric):
    assert metric.higher_is_better
    assert metric.needs_reference
    definition = metric.definition
    assert definition["color_space"] == "rgb"
    assert definition["data_range"] == 1.0
    assert all(isinstance(v, (str, int, float, bool)) for v in definition.values())
    assert pickle.loads(pickle.dumps(metric)).definition == definition


def test_luma_is_scikit_images():
    x, _ = pair(2)
    expected = rgb2ycbcr(x.double().numpy(), channel_axis=1)[:, :1] / 255
    np.testing.assert_allclose(y_channel(x).numpy(), expected, rtol=1e-12)
    corners = torch.tensor([[0.0, 0, 0], [1, 1, 1]]).reshape(2, 3, 1, 1)
    np.testing.assert_allclose(y_channel(corners).flatten().numpy() * 255, [16, 235], rtol=1e-12)


@pytest.mark.parametrize("border", [0, 3, 8])
def test_border_and_luma_against_numpy_and_scikit_image(border):
    x, y = pair()
    inner = (slice(None), slice(border, 40 - border), slice(border, 56 - border))
    for i in range(3):
        a, b = (rgb2ycbcr(t[i].double().numpy()[inner], channel_axis=0)[0] for t in (x, y))
        found = Psnr(color_space="y", crop_border=border).score(x, y)[i].item()
        assert found == pytest.approx(10 * math.log10(255**2 / np.mean((a - b) ** 2)), rel=1e-7)
        _, full = structural_similarity(
            a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        found = Ssim(color_space="y", crop_border=border).score(x, y)[i].item()
        assert found == pytest.approx(full[5:-5, 5:-5].mean(), rel=1e-9)
        cut_x, cut_y = x[i : i + 1][(slice(None), *inner)], y[i : i + 1][(slice(None), *inner)]
        assert Psnr(crop_border=border).score(x, y)[i].item() == psnr(cut_x, cut_y).item()


@pytest.mark.parametrize("cls", [Psnr, Ssim, MsSsim])
def test_settings_of_the_comparison(cls):
    assert cls().definition["crop_border"] == 0
    assert cls(color_space="y", crop_border=8, name="other").definition["color_space"] == "y"
    assert cls(crop_border=8).definition != cls().definition
    assert cls(name="other").name == "other"
    with pytest.raises(ConfigError, match=rf"metrics\.{cls.default_name}\.color_space is one of rgb, y"):
        cls(color_space="ycbcr")
    with pytest.raises(ConfigError, match="crop_border"):
        cls(crop_border=-1)
    small = torch.rand(2, 3, 30, 16)
    with pytest.raises(UnscorableImageError, match="16x30 pixels, of which 8 are cut off") as caught:
        cls(crop_border=8).score(small, small)
    assert caught.value.positions == (0, 1)


def test_wrong_settings_of_the_functions():
    with pytest.raises(ValueError, match="leaves nothing of images of 16x8"):
        compared_part(torch.zeros(1, 3, 8, 16), crop_border=4)
    with pytest.raises(ValueError, match="one of rgb, y"):
        compared_part(torch.zeros(1, 3, 8, 16), "lab")


def ms_ssim_reference(x, y):
    """Wang et al. 2003 by scipy: interior windows, 2x2 means, contrast-structure of four scales, all of the fifth."""

    def mean(a):
        return gaussian_filter(a, 1.5, truncate=3.5)[5:-5, 5:-5]

    def terms(a, b):
        ma, mb = mean(a), mean(b)
        va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
        c1, c2 = 0.01**2, 0.03**2
        cs = (2 * cov + c2) / (va + vb + c2)
        return cs.mean(), ((2 * ma * mb + c1) / (ma**2 + mb**2 + c1) * cs).mean()

    def halve(a):
        a = a[:, : a.shape[1] // 2 * 2, : a.shape[2] // 2 * 2]
        return (a[:, ::2, ::2] + a[:, 1::2, ::2] + a[:, ::2, 1::2] + a[:, 1::2, 1::2]) / 4

    values = []
    for a, b in zip(x.double().numpy(), y.double().numpy(), strict=True):
        product = 1.0
        for level, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
            contrast, whole = np.mean([terms(p, q) for p, q in zip(a, b, strict=True)], axis=0)
            product *= (whole if level == 4 else contrast) ** weight
            a, b = halve(a), halve(b)
        values.append(product)
    return values


def test_ms_ssim_against_scipy_and_batch_equals_singles():
    x, y = pair(2, 177, 203)
    scores = MsSsim().score(x, y)
    np.testing.assert_allclose(scores.numpy(), ms_ssim_reference(x, y), rtol=1e-9)
    singles = torch.cat([MsSsim().score(a[None], b[None]) for a, b in zip(x, y, strict=True)])
    assert torch.equal(scores, singles)
    np.testing.assert_allclose(MsSsim().score(x, x).numpy(), 1, rtol=1e-12)
    luma = MsSsim(color_space="y").score(x, y)
    assert luma.tolist() == ms_ssim(x, y, color_space="y").tolist()
    assert (luma - scores).abs().min() > 1e-4


def test_ms_ssim_is_torchmetrics_but_for_the_border_of_the_coarsest_scale():
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
    from torchmetrics.functional.image.ssim import _ssim_update

    x, y = pair(1, 256, 256)
    options = {"gaussian_kernel": True, "sigma": 1.5, "kernel_size": 11, "data_range": 1.0, "k1": 0.01, "k2": 0.03}
    a, b, finer = x.double(), y.double(), 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363):
        finer = finer * _ssim_update(a, b, **options, return_contrast_sensitivity=True)[1] ** weight
        a, b = torch.nn.functional.avg_pool2d(a, 2), torch.nn.functional.avg_pool2d(b, 2)
    whole, full = _ssim_update(a, b, **options, return_full_image=True)
    theirs = multiscale_structural_similarity_index_measure(x.double(), y.double(), data_range=1.0, reduction="none")
    torch.testing.assert_close(finer * whole**0.1333, theirs, rtol=1e-7, atol=0)  # float32 exponents in torchmetrics
    ours = MsSsim().score(x, y)
    torch.testing.assert_close(ours, finer * full[..., 5:-5, 5:-5].mean().reshape(1) ** 0.1333, rtol=1e-9, atol=0)
    assert 1e-6 < (ours - theirs).abs().item() < 0.01


def test_ms_ssim_of_opposite_images_is_zero_and_small_images_are_refused():
    x, _ = pair(1, 176, 180)
    assert MsSsim().score(x, 1 - x).tolist() == [0]
    with pytest.raises(UnscorableImageError, match=r"180x175 pixels, but both sides must be at least 176"):
        MsSsim().score(x[..., :175, :], x[..., :175, :])


@pytest.mark.parametrize("scale", [2, 8])
def test_back_to_lr_is_pillows_bicubic_in_floating_point(scale):
    x, _ = pair(1, 24 * scale, 17 * scale)
    small = back_to_lr(x, 24, 17)
    for channel in range(3):
        image = Image.fromarray(x[0, channel].numpy())
        assert image.mode == "F"
        expected = np.asarray(image.resize((17, 24), Image.Resampling.BICUBIC)).clip(0, 1)
        np.testing.assert_allclose(small[0, channel].numpy(), expected, atol=2e-7)
    assert small.min() >= 0  # the cubic kernel overshoots; a file cannot
    step = torch.zeros(1, 3, 64, 64)
    step[..., 28:] = 1
    assert back_to_lr(step, 8, 8).min() == 0


def test_lr_consistency_against_pillow_and_batch_equals_singles():
    x, _ = pair(3, 64, 80)
    lr = pair(3, 8, 10)[0]
    metric = LrConsistency()
    scores = metric.score(x, lr)
    for image, low, score in zip(x, lr, scores, strict=True):
        planes = [
            np.asarray(Image.fromarray(plane.numpy()).resize((10, 8), Image.Resampling.BICUBIC)).clip(0, 1)
            for plane in image
        ]
        error = np.mean((np.stack(planes).astype(np.float64) - low.double().numpy()) ** 2)
        assert score.item() == pytest.approx(10 * math.log10(1 / error), rel=1e-6)
    singles = torch.cat([metric.score(a[None], b[None]) for a, b in zip(x, lr, strict=True)])
    torch.testing.assert_close(scores, singles, rtol=1e-12, atol=0)


def test_lr_consistency_says_who_keeps_the_input():
    """The rounding of an 8-bit LR image allows 58.9 dB; an enlargement keeps most, another picture does not."""
    coarse = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    x, other = torch.nn.functional.interpolate(coarse, size=(256, 256), mode="bicubic").clamp(0, 1).split(1)
    lr = (back_to_lr(x, 32, 32) * 255).round().float() / 255
    enlarged = torch.nn.functional.interpolate(lr, scale_factor=8, mode="bicubic").clamp(0, 1)
    metric = LrConsistency()
    assert metric.score(x, lr).item() == pytest.approx(10 * math.log10(12 * 255**2), abs=0.3)
    assert 58.9 > metric.score(enlarged, lr).item() > 20 > metric.score(other, lr).item()
    assert metric.score(torch.full((1, 3, 16, 16), 0.5), torch.full((1, 3, 2, 2), 0.5)).item() > 200


@pytest.mark.parametrize("shape", [(2, 3, 9, 8), (2, 3, 8, 5), (1, 3, 8, 8), (2, 3, 64, 64), (2, 3, 128, 128)])
def test_lr_consistency_refuses_what_is_not_the_lr_image(shape):
    metric = LrConsistency()
    assert metric.compares_with == "lr"
    with pytest.raises(UnscorableImageError, match=r"\(2, 3, 64, 64\).*same whole multiple"):
        metric.score(torch.zeros(2, 3, 64, 64), torch.zeros(shape))
    with pytest.raises(ValueError, match="none was given"):
        metric.score(torch.zeros(2, 3, 64, 64))


def test_functions_agree_with_the_metrics():
    x, y = pair(2)
    assert torch.equal(ssim(x, y, color_space="y", crop_border=4), Ssim("y", 4).score(x, y))
    assert torch.equal(psnr(x, y, color_space="y", crop_border=4), Psnr("y", 4).score(x, y))
