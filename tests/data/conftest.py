"""Made-up images for the tests of the data package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeImages = Callable[..., dict[str, np.ndarray]]


@pytest.fixture
def make_images() -> MakeImages:
    """Writes random RGB images of given sizes and returns their pixels by stem."""

    def make(folder: Path, sizes: list[tuple[int, int]], prefix: str = "im", seed: int = 0) -> dict[str, np.ndarray]:
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        made = {}
        for number, (height, width) in enumerate(sizes):
            made[f"{prefix}{number}"] = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(made[f"{prefix}{number}"]).save(folder / f"{prefix}{number}.png")
        return made

    return make
