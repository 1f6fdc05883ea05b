"""What an HR image was made from and how: written into every image and beside the folder.

Each PNG carries the key of its recipe and the hash of its LR image, or the seed it was generated from, so a killed
evaluation goes on where it stopped, and an image made by other weights, settings or inputs is never taken for a
current one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from octosr.data.atomic import write_bytes

STANDIN_LABEL = "STAND-IN: not the study's images"


@dataclass(frozen=True)
class Recipe:
    """Everything that determines an HR image besides its LR image or its seed.

    Attributes:
        technique: name of the technique.
        arguments: the technique's settings as plain values.
        weights: name and sha256 of each weight file, in the order given.
        seed: the run's seed.
        precision: Lightning's precision, which changes pixels.
    """

    technique: str
    arguments: dict[str, Any]
    weights: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    precision: str = "32-true"

    @property
    def key(self) -> str:
        """Short hash of the recipe; where a weight file lies does not matter, what is in it does."""
        content = asdict(self) | {"weights": [digest for _, digest in self.weights]}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def text(self, source: str | int, standin: bool) -> dict[str, str]:
        """The PNG text chunks of an image made from the LR file with this hash, or generated from this seed."""
        text = {"octosr:recipe": self.key, "octosr:technique": self.technique} | _source(source)
        return text | ({"octosr:data": STANDIN_LABEL} if standin else {})


def _source(source: str | int) -> dict[str, str]:
    return {"octosr:seed": str(source)} if isinstance(source, int) else {"octosr:lr_sha256": source}


def is_current(path: Path, recipe: Recipe, source: str | int) -> bool:
    """Whether an HR image is there and was made by this recipe from this LR image (its hash) or this seed."""
    if not path.is_file():
        return False
    try:
        with Image.open(path) as image:
            text = image.info
    except (UnidentifiedImageError, OSError):
        return False
    return all(text.get(key) == value for key, value in ({"octosr:recipe": recipe.key} | _source(source)).items())


@dataclass
class Provenance:
    """The readable record that stands beside a folder of HR images as ``provenance.json``."""

    recipe: Recipe
    dataset: str
    kind: str
    versions: Mapping[str, str]
    images: Sequence[str]
    left_out: Sequence[tuple[str, str]] = field(default_factory=list)
    notes: Sequence[str] = field(default_factory=list)
    kernels: Sequence[str] = field(default_factory=list)
    """Files of estimated blur kernels, where the technique estimates them."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    """Seed of each image, where they were generated from no LR image."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """What a technique says of a network that was trained elsewhere: architecture, licence, ..."""

    def write(self, folder: Path) -> Path:
        """Write ``provenance.json`` atomically; returns its path."""
        path = folder / "provenance.json"
        content = asdict(self) | {"recipe_key": self.recipe.key}
        if self.kind == "stand-in":
            content["warning"] = STANDIN_LABEL
        write_bytes(path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())
        return path
