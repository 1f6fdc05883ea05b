"""What is found once for an image and holds for all its tiles."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from octosr.errors import TooLittleMemoryError
from octosr.prediction.tiling.memory import attempt
from octosr.prediction.tiling.ports import Source
from octosr.prediction.tiling.symmetry import turn
from octosr.prediction.tiling.view import view_of
from octosr.techniques.base import SingleImageTechnique

log = logging.getLogger(__name__)

SMALLEST_VIEW = 32
"""Sides of views on which nothing is looked for any more, in LR pixels."""


class Contexts:
    """A context for each symmetry, since a turned image has a turned blur.

    Args:
        technique: on the device to use.
        source: the image.
        view: what the technique wants to see of it, see ``Tiling.view``.
        symmetries: in which the image is done.
    """

    def __init__(
        self, technique: SingleImageTechnique, source: Source, view: int | None, symmetries: Sequence[int] = (0,)
    ) -> None:
        self.technique, self.source, self.symmetries = technique, source, symmetries
        self._view = view
        self._found: list[Any] | None = None

    @property
    def ready(self) -> bool:
        """Whether they have been found."""
        return self._found is not None

    def find(self) -> list[Any]:
        """Find them, at the first call only; on a smaller view where memory runs out.

        Raises:
            TooLittleMemoryError: memory does not suffice for the smallest view.
        """
        if self._found is None and self._view is None:
            self._found = [None] * len(self.symmetries)
        while self._found is None:
            side = self._view
            assert side is not None
            self._found = attempt(partial(self._on_view, side), self.technique.device)
            if self._found is None:
                self._view = side // 2
                if self._view < SMALLEST_VIEW:
                    raise TooLittleMemoryError(
                        f"There is not enough memory for {self.technique.name} to look at {side}x{side} pixels of the "
                        "image: free some memory, or use hardware with more."
                    )
                log.warning("Memory ran out: looking for the blur in %d x %d pixels.", self._view, self._view)
        return self._found

    def _on_view(self, side: int) -> list[Any]:
        view = view_of(self.source, side).to(self.technique.device)
        # Contexts may come from an optimisation on the image, which is differentiated whatever mode the caller is in.
        with torch.inference_mode(False), torch.no_grad():
            return [self.technique.find_context(turn(view, symmetry).clone()) for symmetry in self.symmetries]
