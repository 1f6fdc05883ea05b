"""Metrics as pure functions: images in, one score per image out."""

import octosr._torchvision  # noqa: F401  (before anything that imports torchvision)
from octosr.metrics.functional.fidelity import psnr, ssim
from octosr.metrics.functional.niqe import block_count, niqe
from octosr.metrics.functional.sharpness import grey, laplacian_variance, rms_contrast, tenengrad

__all__ = ["block_count", "grey", "laplacian_variance", "niqe", "psnr", "rms_contrast", "ssim", "tenengrad"]
