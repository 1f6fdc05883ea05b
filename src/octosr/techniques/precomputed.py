"""Images that somebody else has super-resolved: to be scored beside our own, with nothing to run."""

from __future__ import annotations

from typing import ClassVar

from octosr.errors import ConfigError
from octosr.techniques.base import Technique


class Precomputed(Technique):
    """Stands for images that lie in a folder; the evaluator scores the files themselves.

    Args:
        name: the name the scores are filed under, e.g. ``authors_dan``.
        root: the folder; :mod:`octosr.data.results` says how images may lie in it.
        suffix: what the images' names have after the LR image's name, if it is none of the usual ones.
        paired: False if the images were generated from no LR images, whatever they are called.

    Raises:
        ConfigError: no folder is given.
    """

    trainable: ClassVar[bool] = False

    def __init__(self, name: str, root: str | None, suffix: str | None = None, paired: bool = True) -> None:
        super().__init__(name)
        if not root:
            raise ConfigError("Say where the images are: technique.root=FOLDER.")
        self.root = root
        self.suffix = suffix
        self.paired = paired
