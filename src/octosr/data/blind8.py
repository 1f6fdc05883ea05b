"""The one blind x8 degradation of the demo's pairs, in numpy and scipy (float64).

It is written without octosr.degradation on purpose: the demo's pairs are then also an independent check of it.
Model: LR = round8((HR * k_sigma) down 8), an isotropic Gaussian blur followed by MATLAB-style antialiased bicubic
reduction and 8-bit rounding: setting 1 of DAN (Luo et al., NeurIPS 2020, arXiv:2010.02631) taken on to x8, with the
range and the kernel of conf/degradation/setting1.yaml.
"""

from __future__ import annotations

import hashlib

import numpy as np

SCALE = 8
SIGMA = (0.2, 8.0)  # pixels of the HR image
RADIUS = 24  # the kernel is 49 x 49


def tile_sigma(name: str) -> float:
    """Blur width of a tile, uniform over SIGMA: a hash of its name, so the same for ever, on every machine."""
    digest = hashlib.sha256(f"octosr demo-v1 {name}".encode()).digest()
    fraction = int.from_bytes(digest[:8], "big") / 2**64
    return round(SIGMA[0] + (SIGMA[1] - SIGMA[0]) * fraction, 4)


def bicubic_matrix(size: int, scale: int = SCALE) -> np.ndarray:
    """Matrix (size/scale, size) of the antialiased bicubic reduction along one axis (Keys 1981, a = -0.5).

    The cubic is stretched by the scale, pixel centres are at half-integers, and what falls outside the image is taken
    from its mirror image with the edge pixel repeated, as MATLAB's imresize does.
    """
    if size % scale:
        raise ValueError(f"size {size} is not a multiple of {scale}")
    out = size // scale
    centre = (np.arange(out) + 0.5) * scale - 0.5
    taps = np.floor(centre - 2 * scale).astype(int)[:, None] + np.arange(4 * scale + 2)
    x = np.abs(taps - centre[:, None]) / scale
    weight = np.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0.0))
    weight /= weight.sum(axis=1, keepdims=True)
    source = taps % (2 * size)
    source = np.where(source >= size, 2 * size - 1 - source, source)
    matrix = np.zeros((out, size))
    np.add.at(matrix, (np.arange(out)[:, None], source), weight)
    return matrix


def degrade(hr: np.ndarray, sigma: float) -> np.ndarray:
    """Blur with an isotropic Gaussian and reduce 8x.

    Args:
        hr: (H, W, 3) uint8, sides multiples of 8.
        sigma: standard deviation of the blur in HR pixels.

    Returns:
        (H/8, W/8, 3) uint8, rounded half to even after clamping.
    """
    from scipy import ndimage  # here, since the demo's pairs are made once

    image = hr.astype(np.float64)
    # "mirror" does not repeat the edge pixel (torch calls it "reflect"); axis 2 is colour and is left alone
    image = ndimage.gaussian_filter(image, sigma=(sigma, sigma), radius=RADIUS, mode="mirror", axes=(0, 1))
    rows, columns = bicubic_matrix(hr.shape[0]), bicubic_matrix(hr.shape[1])
    reduced = np.einsum("ih,hwc,jw->ijc", rows, image, columns, optimize=True)
    return np.rint(np.clip(reduced, 0, 255)).astype(np.uint8)
