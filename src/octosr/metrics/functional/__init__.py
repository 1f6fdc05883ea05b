"""Metrics as pure functions: images in, one score per image out."""

import octosr._torchvision  # noqa: F401  (before anything that imports torchvision)
from octosr.metrics.functional.fidelity import psnr, ssim
from octosr.metrics.functional.niqe import block_count, niqe

__all__ = ["block_count", "niqe", "psnr", "ssim"]
