"""Metrics as pure functions: images in, one score per image out."""

import octosr._torchvision  # noqa: F401  (before anything that imports torchvision)
from octosr.metrics.functional.fidelity import back_to_lr, compared_part, lr_consistency, psnr, y_channel
from octosr.metrics.functional.niqe import block_count, niqe, niqe_detailed
from octosr.metrics.functional.niqe_fit import fit_niqe
from octosr.metrics.functional.sharpness import grey, laplacian_variance, rms_contrast, tenengrad
from octosr.metrics.functional.similarity import ms_ssim, ssim

__all__ = [
    "back_to_lr",
    "block_count",
    "compared_part",
    "fit_niqe",
    "grey",
    "laplacian_variance",
    "lr_consistency",
    "ms_ssim",
    "niqe",
    "niqe_detailed",
    "psnr",
    "rms_contrast",
    "ssim",
    "tenengrad",
    "y_channel",
]
