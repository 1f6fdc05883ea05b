"""Kernel PCA against the SVD of the centred data matrix."""

from __future__ import annotations

import pytest
import torch

from octosr.degradation.kernels import dirac_kernels
from octosr.degradation.pca import encode, fit_pca
from octosr.degradation.pipeline import Degradation
from octosr.errors import ConfigError


@pytest.fixture(scope="module")
def kernels() -> torch.Tensor:
    setting2 = Degradation(kind="anisotropic", sigma={2: [0.6, 5.0]}, kernel_size={2: 11}, disturbance=0.25)
    return setting2.sample_kernels(2, torch.arange(5000)).float()


def test_spans_what_the_svd_of_the_centred_data_spans(kernels: torch.Tensor) -> None:
    basis = fit_pca(kernels, 10)
    flat = kernels.flatten(1).double()
    left = torch.linalg.svd((flat - flat.mean(0)).T, full_matrices=False).U[:, :10]
    torch.testing.assert_close(basis @ basis.T, left @ left.T, atol=1e-9, rtol=0)
    # strongest first: column by column the same direction
    torch.testing.assert_close((basis * left).sum(0).abs(), torch.ones(10, dtype=torch.float64), atol=1e-6, rtol=0)


def test_columns_are_orthonormal_with_a_fixed_sign_and_repeatable(kernels: torch.Tensor) -> None:
    basis = fit_pca(kernels, 10)
    assert basis.shape == (121, 10)
    torch.testing.assert_close(basis.T @ basis, torch.eye(10, dtype=torch.float64), atol=1e-12, rtol=0)
    assert torch.equal(basis, fit_pca(kernels, 10))
    torch.testing.assert_close(basis, fit_pca(kernels.flip(0), 10), atol=1e-8, rtol=0)
    for column in basis.T:
        large = column[column.abs() >= 0.5 * column.abs().max()]
        assert large[0] > 0


def test_encoding_does_not_subtract_the_mean_and_a_dirac_encodes_to_the_centre_row(kernels: torch.Tensor) -> None:
    basis = fit_pca(kernels, 10).float()
    codes = encode(kernels[:4], basis)
    assert codes.dtype == torch.float32
    torch.testing.assert_close(codes[3], kernels[3].reshape(-1) @ basis)
    assert torch.equal(encode(dirac_kernels(1, 11), basis)[0], basis[121 // 2])


def test_more_components_than_taps_are_refused(kernels: torch.Tensor) -> None:
    assert fit_pca(kernels, 121).shape == (121, 121)
    for components in (0, 122):
        with pytest.raises(ConfigError, match="1 to 121 components"):
            fit_pca(kernels, components)


def test_ten_components_hold_nearly_all_of_setting_1() -> None:
    """What makes the code useful: a kernel of DAN's setting 1 is rebuilt from ten numbers."""
    setting1 = Degradation(kind="isotropic", sigma={4: [0.2, 4.0]}, kernel_size={4: 21})
    basis = setting1.pca_basis(4, 10, samples=2000)
    assert basis.shape == (441, 10)
    assert basis.dtype == torch.float32
    assert torch.equal(basis, setting1.pca_basis(4, 10, samples=2000))
    unseen = setting1.sample_kernels(4, torch.arange(200)).float().flatten(1)
    assert (unseen - unseen @ basis @ basis.T).abs().max() < 5e-3
    assert basis[441 // 2, 0].abs() == pytest.approx(0.992, abs=0.005)  # the value of DAN's published matrix


def test_kernels_that_do_not_vary_still_give_an_orthonormal_basis() -> None:
    basis = Degradation(kind="none", sigma={}, kernel_size={8: 11}).pca_basis(8, 10, samples=50)
    torch.testing.assert_close(basis.T @ basis, torch.eye(10), atol=1e-6, rtol=0)
