"""How BlindSR searches for the kernel of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from octosr.errors import ConfigError
from octosr.techniques.checks import choice
from octosr.techniques.presets import from_preset

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"levels": 6, "angles": 8, "crop": 0, "steps": 50, "rate": 0.06, "tolerance": 0.0},
    "fast": {"levels": 4, "angles": 4, "crop": 64, "steps": 30, "rate": 0.1, "tolerance": 0.002},
}


@dataclass(frozen=True)
class Search:
    """How to search.

    Attributes:
        levels: standard deviations among the starts, see ``starts.start_grid``.
        angles: angles among the starts.
        crop: look at informative crops of this side in LR pixels; 0, or where the images are no larger than the
            crops: at all of them.
        crops: how many crops an image.
        patch: images are looked at in patches of this side in LR pixels; without ``crop``.
        steps: of gradient descent from the best start; 0: none.
        rate: of Adam, in the units of ``shapes``; falls to a tenth along a line.
        tolerance: an image is done when ``block`` steps have lowered its loss by less than this share of its error;
            0: never before ``steps``.
        block: see ``tolerance``.
        sharpness: weight of (sigma_1 + sigma_2) in the loss. More makes sharper images, and halos; a user's choice.
        calibration: auto: in the first of several passes the kernel of an image is what the stage's calibration makes
            of the errors of its grid (``calibration``), if it has one; ``levels``, ``angles``, ``sharpness`` and what
            belongs to the gradient descent then count for maps of kernels only. none: as if it had none.
        spatial: a kernel for each part of the image and not for the whole; always looks at whole images.
        cell: side of the parts in LR pixels.
        window: side of the window in LR pixels over which errors are averaged to choose a part's start.
        prior: weight of the whole image's error in that choice: where a part says nothing, the image decides.
        smoothness: weight of the map's total variation in its refinement.
        tile: side of the tiles of the final pass in LR pixels; the result does not depend on it.
        official_quirks: search as the public code does, see ``published``; nothing but ``patch``, ``steps`` and
            ``sharpness`` counts then.
    """

    levels: int = 6
    angles: int = 8
    crop: int = 0
    crops: int = 4
    patch: int = 200
    steps: int = 50
    rate: float = 0.06
    tolerance: float = 0.0
    block: int = 5
    sharpness: float = 1e-4
    calibration: str = "auto"
    spatial: bool = False
    cell: int = 16
    window: int = 48
    prior: float = 0.25
    smoothness: float = 1e-3
    tile: int = 200
    official_quirks: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any], **fixed: Any) -> Search:
        """From a preset (``preset``: fast or paper) and what differs from it; None stands for the preset's value.

        Raises:
            ConfigError: an unknown preset or setting, or a value that makes no sense.
        """
        made = from_preset(cls, "technique.search", PRESETS, settings, **fixed)
        made._check()
        return made

    def _check(self) -> None:
        least = {"levels": 1, "angles": 1, "crops": 1, "patch": 1, "steps": 0, "block": 1, "cell": 1, "tile": 1}
        least |= {"tolerance": 0, "prior": 0, "smoothness": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ConfigError(f"technique.search.{name} must be at least {lowest}, not {getattr(self, name)}.")
        if self.crop != 0 and self.crop < 2:
            raise ConfigError(f"technique.search.crop must be 0 (whole images) or at least 2, not {self.crop}.")
        choice("search.calibration", self.calibration, ("auto", "none"))
        if self.rate <= 0:
            raise ConfigError(f"technique.search.rate must be above 0, not {self.rate}.")
        if self.spatial and self.window < self.cell:
            raise ConfigError(
                f"technique.search.window={self.window} leaves out parts of cells of {self.cell}: make it larger."
            )
        if self.spatial and self.official_quirks:
            raise ConfigError(
                "technique.search.spatial does not go with official_quirks: the public code has one kernel an image."
            )
