"""The Frechet distance of two sets of features (Heusel et al. 2017, eq. 6), from the images and not the features."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(samples: Tensor, reals: Tensor) -> Tensor:
    """Squared distance of the normal distributions that have the means and covariances of two sets.

    ``|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))``. With centred rows X (N, D) and Y (M, D), the eigenvalues of C C' but
    for zeros are those of ``(X Y^T)(X Y^T)^T / ((N - 1)(M - 1))``, so the last trace is the sum of the singular values
    of ``X Y^T``: an N x M matrix, and for a hundred images not one of 2048 x 2048.

    Args:
        samples: features (N, D), N at least 2.
        reals: features (M, D), M at least 2.

    Returns:
        A float64 scalar.
    """
    samples, reals = samples.double(), reals.double()
    apart = (samples.mean(0) - reals.mean(0)).square().sum()
    x, y = ((rows - rows.mean(0)) / (len(rows) - 1) ** 0.5 for rows in (samples, reals))
    # Of the norms' squares, since tr(C) = |X|^2 / (N - 1).
    return apart + x.square().sum() + y.square().sum() - 2 * torch.linalg.svdvals(x @ y.T).sum()
