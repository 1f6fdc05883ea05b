"""The door to pyiqa, the collection of image quality metrics (optional extra ``iqa``, non-commercial licence).

pyiqa is imported only when one of its metrics is computed, and only the module of that metric: importing it takes
seconds, and its licence (PolyForm Noncommercial 1.0.0 and NTU S-Lab) need not concern who does not use it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from octosr.errors import ConfigError, MissingMetricError, nearest
from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.pyiqa_network import build_network, fingerprint, score_one
from octosr.pyiqa_table import PyiqaEntry, pyiqa_metrics

NOT_PER_IMAGE = {
    "fid": "judges sets of images, not single ones",
    "sfid": "judges sets of images, not single ones",
    "fid_dinov2": "judges sets of images, not single ones",
    "inception_score": "judges sets of images, not single ones",
    "clipscore": "compares an image with a caption",
    "compare2score": "gives one number for a whole batch",
}
"""Metrics of pyiqa that have no score of one image."""


def require_pyiqa(metric: str) -> str:
    """Make sure that pyiqa is installed, without importing it.

    Returns:
        its version.

    Raises:
        MissingMetricError: it is not installed; the message holds the line that installs it.
    """
    try:
        found = importlib.util.find_spec("pyiqa") is not None
        version = importlib.metadata.version("pyiqa")
    except importlib.metadata.PackageNotFoundError:
        found, version = False, ""
    if not found:
        raise MissingMetricError(
            f"The metric '{metric}' needs the package pyiqa, which is not installed. "
            "Install it with: pip install 'octosr[iqa]' -c constraints.txt "
            "(pyiqa's licence allows non-commercial use only), or leave the metric out."
        )
    return version


def import_arch(module: str, metric: str) -> ModuleType:
    """Import ``pyiqa.archs.<module>``; nothing is downloaded by that.

    Raises:
        MissingMetricError: pyiqa or something it needs cannot be imported.
    """
    version = require_pyiqa(metric)
    try:
        return importlib.import_module(f"pyiqa.archs.{module}")
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingMetricError(
            f"The metric '{metric}' needs pyiqa.archs.{module}, but pyiqa {version} cannot be imported here: {error}. "
            "The small installation (`make`) leaves out what only some metrics need; all of it comes with: "
            "pip install 'octosr[iqa]' -c constraints.txt"
        ) from error


def entry_of(metric: str) -> PyiqaEntry:
    """What pyiqa says of a metric.

    Raises:
        MissingMetricError: pyiqa is not installed.
        ConfigError: it has no metric of that name (the nearest ones are named), or none for single images.
    """
    version = require_pyiqa(metric)
    table = pyiqa_metrics()
    if metric not in table:
        raise ConfigError(f"pyiqa {version} has no metric '{metric}'.{nearest(metric, table)}")
    if metric in NOT_PER_IMAGE:
        raise ConfigError(f"pyiqa's metric '{metric}' {NOT_PER_IMAGE[metric]}: it cannot be used here.")
    return table[metric]


class PyiqaMetric(ImageMetric):
    """Any metric of pyiqa by its name, with pyiqa's own network, weights and direction.

    Images are scored one by one (some of pyiqa's metrics couple the images of a batch), each with the same seed (some
    draw crops). Nothing is fetched unless asked for, and weight files are read without running code from them. The
    network is built at once (which files it needs, and with which values, shows only then), is frozen and in evaluation
    mode, follows the images to their device, and is neither pickled nor in ``state_dict()``.

    Metrics that compare (pyiqa's mode ``FR``) compare with the HR reference.

    Args:
        metric: name, as for ``pyiqa.create_metric``.
        download: allow fetching what is missing.
        weights: the metric's own weight file; None for where pyiqa looks.
        seed: of the crops that some metrics draw.
        name: column under which the scores are filed; the metric's name if not given.

    Raises:
        MissingMetricError: pyiqa, a package that this metric needs or a weight file is missing.
        ConfigError: pyiqa has no such metric for single images.

    >>> import torch
    >>> piqe = PyiqaMetric("piqe")  # needs no weights
    >>> piqe.higher_is_better
    False
    >>> piqe.score(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))).shape
    torch.Size([2])
    """

    def __init__(
        self,
        metric: str,
        download: bool = False,
        weights: str | Path | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        self.entry = entry_of(metric)
        super().__init__(name or metric)
        self.metric, self.download, self.seed = metric, bool(download), int(seed)
        self.weights = None if weights is None else Path(weights).expanduser()
        self.compares_with = "hr" if self.entry.compares else "nothing"
        self._pyiqa_version = require_pyiqa(metric)
        self._holder: list[nn.Module] = []  # a list hides the network from nn.Module's registration
        self._fingerprint = ""
        self._network()

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """pyiqa's own direction."""
        return not self.entry.lower_better

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`; the values that the network holds are part of it."""
        return {
            "implementation": f"pyiqa.create_metric('{self.metric}')",
            "version": self._pyiqa_version,
            "weights_sha256": self._fingerprint,
            "seed": self.seed,
        }

    def prepare(self) -> None:
        """Build the network again where it was left out (after unpickling)."""
        self._network()

    def _network(self, device: torch.device | None = None) -> nn.Module:
        if not self._holder:
            arch = import_arch(self.entry.module, self.metric)
            network = build_network(self.entry, arch, self.weights, self.download, self.seed)
            found = fingerprint(network)
            if self._fingerprint and found != self._fingerprint:
                raise MissingMetricError(f"The weights of '{self.metric}' have changed since the metric was set up.")
            self._fingerprint = found
            self._holder.append(network.to(self.device))
        network = self._holder[0]
        return network if device is None else network.to(device)

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        network = self._network(images.device)
        targets = [None] * len(images) if reference is None else list(reference.split(1))
        scores = []
        for i, (image, target) in enumerate(zip(images.split(1), targets, strict=True)):
            try:
                scores.append(score_one(self.metric, network, image, target, self.seed))
            except torch.OutOfMemoryError:
                raise
            except (AssertionError, RuntimeError, ValueError, IndexError) as error:
                height, width = image.shape[-2:]
                raise UnscorableImageError(
                    f"{self.name}: pyiqa has no score for image {i} of the batch ({width}x{height} pixels): {error}",
                    [i],
                ) from error
        return torch.cat(scores)

    def _apply(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> nn.Module:
        this = super()._apply(fn, *args, **kwargs)
        for network in self._holder:
            network.to(self.device)
        return this

    def __getstate__(self) -> dict[str, Any]:
        """The state without the network, which is built again where it is needed."""
        return super().__getstate__() | {"_holder": []}
