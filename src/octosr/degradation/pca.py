"""Principal components of blur kernels: the short code by which DAN's networks know a kernel.

DAN (Luo et al., NeurIPS 2020, arXiv:2010.02631) feeds its networks ten or fifteen of them. Signs and,
for equal eigenvalues, rotations of a basis are arbitrary, so a basis has to travel with the weights
that were trained with it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from octosr.errors import ConfigError

_CHUNK = 2048


def fit_pca(kernels: Tensor, components: int) -> Tensor:
    """The directions in which a set of kernels varies most.

    Eigenvectors of the l^2 x l^2 covariance, which is what the SVD of the centred N x l^2 matrix gives,
    at a cost that grows only linearly with N. Computed in float64.

    Args:
        kernels: (N, l, l), N > 1.
        components: width p of the code, at most l^2.

    Returns:
        Orthonormal columns, strongest first, float64, (l^2, p), on the device of ``kernels``. Of the two signs of a
        column the one is taken that makes its first large entry positive.

    Raises:
        ConfigError: more components than kernel taps.
    """
    flat = kernels.flatten(1)
    count, taps = flat.shape
    if not 1 <= components <= taps:
        raise ConfigError(f"the PCA code must have 1 to {taps} components for these kernels, not {components}")
    mean = flat.mean(0, dtype=torch.float64)
    covariance = torch.zeros(taps, taps, dtype=torch.float64, device=flat.device)
    for chunk in flat.split(_CHUNK):
        centred = chunk.double() - mean
        covariance.addmm_(centred.T, centred)
    basis = torch.linalg.eigh(covariance / (count - 1)).eigenvectors[:, -components:].flip(1)
    # "Large" is half the maximum: unlike the maximum itself it does not hang on the last digit when a column
    # has several equal extremes, as symmetric kernels make it have.
    magnitude = basis.abs()
    first_large = (magnitude >= 0.5 * magnitude.amax(0)).to(torch.uint8).argmax(0, keepdim=True)
    return basis * basis.gather(0, first_large).sign()


def encode(kernels: Tensor, basis: Tensor) -> Tensor:
    """The code of each kernel, ``k_flat @ basis`` without subtracting the mean, as DAN's networks expect it.

    Args:
        kernels: (B, l, l).
        basis: (l^2, p).

    Returns:
        (B, p) in the dtype of ``basis``.
    """
    return kernels.flatten(1).to(basis.dtype) @ basis
