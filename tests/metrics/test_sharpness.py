import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.functional import grey, laplacian_variance, rms_contrast, tenengrad
from octosr.metrics.sharpness import LaplacianVariance, RmsContrast, Tenengrad

METRICS = [RmsContrast, LaplacianVariance, Tenengrad]


def pictures(n=3, height=45, width=62, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 7, 9, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return ((smooth + 0.05 * torch.randn(n, 3, height, width, generator=generator)).clamp(0, 1) * 255).round() / 255


def cv2_grey(image):
    pixels = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    return cv2.cvtColor(np.ascontiguousarray(pixels[..., ::-1]), cv2.COLOR_BGR2GRAY)


def by_cv2(image):
    g = cv2_grey(image)
    gx, gy = cv2.Sobel(g, cv2.CV_64F, 1, 0), cv2.Sobel(g, cv2.CV_64F, 0, 1)
    return g.astype(np.float64).std(), cv2.Laplacian(g, cv2.CV_64F).var(), (gx**2 + gy**2).mean()


def by_scipy(image):
    """By the textbook: luma in floating point, rounded; filters with a mirrored border."""
    g = np.floor(image.double().numpy().transpose(1, 2, 0) * 255 @ [0.299, 0.587, 0.114] + 0.5)
    laplacian = ndimage.convolve(g, np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]), mode="mirror")
    gx, gy = ndimage.sobel(g, axis=1, mode="mirror"), ndimage.sobel(g, axis=0, mode="mirror")
    return g.std(), laplacian.var(), (gx**2 + gy**2).mean()


def test_grey_is_opencvs_for_every_step_of_each_colour():
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (1, 3, 2048, 1024), generator=generator)
    levels[0, :, 0, :256] = torch.arange(256)  # the greys stay what they are
    images = levels.float() / 255
    np.testing.assert_array_equal(grey(images)[0].numpy(), cv2_grey(images[0]))
    assert grey(images)[0, 0, :256].tolist() == list(range(256))


@pytest.mark.parametrize(("reference", "tolerance"), [(by_cv2, 1e-12), (by_scipy, 2e-3)])
def test_values_against_opencv_and_scipy(reference, tolerance):
    images = pictures()
    expected = np.array([reference(image) for image in images])
    found = torch.stack([cls().score(images) for cls in METRICS], dim=1)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance)


def test_values_by_hand():
    half = torch.zeros(1, 3, 4, 6)
    half[..., 3:] = 1
    assert rms_contrast(half).tolist() == [127.5]
    # columns 2 and 3 of 6 see the step: Laplacian +-255, gx = 4 * 255
    assert laplacian_variance(half).tolist() == pytest.approx([255**2 / 3], rel=1e-12)
    assert tenengrad(half).tolist() == pytest.approx([(4 * 255) ** 2 / 3], rel=1e-12)


def test_rms_contrast_ignores_where_pixels_are_and_the_others_do_not():
    images = pictures(1)
    order = torch.randperm(45 * 62, generator=torch.Generator().manual_seed(1))
    shuffled = images.flatten(2)[..., order].unflatten(2, (45, 62))
    assert torch.equal(rms_contrast(shuffled), rms_contrast(images))
    assert laplacian_variance(shuffled) > 2 * laplacian_variance(images)
    assert tenengrad(shuffled) > 2 * tenengrad(images)


def test_one_grey_level_in_a_large_image_is_not_lost():
    images = torch.full((1, 3, 1000, 1000), 200 / 255)
    images[..., 3, 5] = 201 / 255
    n = 1e6
    assert rms_contrast(images).item() ** 2 == pytest.approx(1 / n - 1 / n**2, rel=1e-12)


@pytest.mark.parametrize("cls", METRICS)
def test_batch_equals_singles_bit_for_bit(cls):
    images = pictures(5)
    together = cls().score(images)
    assert torch.equal(together, torch.cat([cls().score(image[None]) for image in images]))


@pytest.mark.parametrize("cls", METRICS)
def test_constant_images_small_images_and_direction(cls):
    metric = cls()
    assert metric.score(torch.full((1, 3, 9, 9), 0.3)).tolist() == [0]
    assert metric.score(torch.rand(1, 3, 2, 2)).isfinite().all()
    assert metric.higher_is_better is None
    assert not metric.needs_reference
    assert metric.definition["implementation"] == f"octosr.metrics.functional.{metric.name}"
    if cls is RmsContrast:
        assert metric.score(torch.rand(1, 3, 1, 1)).tolist() == [0]
    else:
        with pytest.raises(UnscorableImageError, match="5x1 pixels"):
            metric.score(torch.rand(1, 3, 1, 5))
