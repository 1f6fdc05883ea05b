"""Gradient maps and crops, against a slow transcription of KernelGAN's map and on images that have nothing."""

from __future__ import annotations

import numpy as np
import torch
from scipy.signal import convolve2d

from octosr.nn.crops import (
    box_mean,
    centre_probabilities,
    corners,
    cut,
    gradient_maps,
    informative_crops,
)


def slow_map(image: np.ndarray) -> np.ndarray:
    """The map of one (H, W, 3) image in NumPy, from its description."""

    def rimmed(values):
        result = np.zeros_like(values)
        result[5:-5, 5:-5] = values[5:-5, 5:-5]
        return result

    def excess(values):
        ordered = np.sort(values, axis=None)
        place = int(0.97 * values.size)
        low, high = ordered[place], ordered[place + 1]
        return np.clip(values, low, high if high > low else low + 1e-5) - low

    gy, gx = np.gradient(image @ np.array([0.299, 0.587, 0.114]))
    ax, ay, magnitude = rimmed(abs(gx)), rimmed(abs(gy)), rimmed(np.hypot(gx, gy))
    total = excess(ax) / excess(ax).sum() + excess(ay) / excess(ay).sum() + magnitude / magnitude.sum()
    blurred = convolve2d(total, np.ones((5, 5)), "same") / 25
    return blurred / blurred.mean()


def test_map_is_that_of_the_description(smooth_images):
    images = smooth_images(3, 40, 52)
    found = gradient_maps(images)
    for image, values in zip(images, found, strict=True):
        np.testing.assert_allclose(values.numpy(), slow_map(image.double().permute(1, 2, 0).numpy()), rtol=1e-9)


def test_box_mean_of_even_and_odd_boxes_is_scipys():
    values = torch.rand(1, 12, 15, dtype=torch.float64)
    for side in (1, 4, 5, 8):
        expected = convolve2d(values[0].numpy(), np.ones((side, side)), "same") / side**2
        np.testing.assert_allclose(box_mean(values, side)[0].numpy(), expected, atol=1e-12)


def test_probabilities_sum_to_one_and_keep_crops_inside(smooth_images):
    maps = gradient_maps(smooth_images(2, 40, 52))
    found = centre_probabilities(maps, 16)
    assert torch.allclose(found.sum((1, 2)), torch.ones(2, dtype=torch.float64))
    assert found[:, :8].sum() == found[:, -8:].sum() == found[..., :8].sum() == found[..., -8:].sum() == 0


def test_flat_and_small_images_are_sampled_evenly(smooth_images):
    flat = torch.full((1, 3, 30, 30), 0.3)
    assert torch.equal(gradient_maps(flat), torch.ones(1, 30, 30, dtype=torch.float64))
    small = centre_probabilities(gradient_maps(smooth_images(1, 12, 12)), 12)
    assert torch.allclose(small, torch.full_like(small, 1 / 144))
    assert torch.isfinite(gradient_maps(smooth_images(1, 6, 5))).all()


def test_corners_are_even_and_inside():
    centres = torch.tensor([0, 50 * 60 - 1, 25 * 60 + 31])
    assert corners(centres, 16, 50, 60).tolist() == [[0, 0], [34, 44], [16, 22]]


def test_cut_takes_the_pixels_of_each_image():
    images = torch.arange(2 * 3 * 6 * 7, dtype=torch.float32).view(2, 3, 6, 7)
    found = cut(images, torch.tensor([[[0, 1], [2, 3]], [[3, 4], [1, 0]]]), 3)
    assert found.shape == (2, 2, 3, 3, 3)
    assert torch.equal(found[0, 1], images[0, :, 2:5, 3:6])
    assert torch.equal(found[1, 0], images[1, :, 3:6, 4:7])
    oblong = cut(images, torch.tensor([[[0, 1]], [[3, 2]]]), (2, 5))
    assert torch.equal(oblong[1, 0], images[1, :, 3:5, 2:7])


def test_informative_crops_lie_on_the_texture_and_apart():
    images = torch.full((1, 3, 64, 96), 0.5)
    images[..., 10:26, 60:76] = torch.rand(16, 16, generator=torch.Generator().manual_seed(1))
    images[..., 40:50, 8:18] = 0.5 + 0.2 * torch.rand(10, 10, generator=torch.Generator().manual_seed(2))
    crops = informative_crops(images, 20, 2)
    assert crops.shape == (1, 2, 3, 20, 20)
    deviation = crops.std((-3, -2, -1))[0]
    assert deviation.min() > 0.02  # both textures are found
    assert torch.equal(informative_crops(images.repeat(2, 1, 1, 1), 20, 2)[1], crops[0])
    # more crops than fit apart: all are inside, none fails
    assert informative_crops(images, 60, 5).shape == (1, 5, 3, 60, 60)
