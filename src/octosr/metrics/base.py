"""What every image quality metric here promises.

A metric is a :class:`torchmetrics.Metric` whose state is one score per image with the image's index. Scores are
gathered over processes and de-duplicated by index before they are averaged, because a distributed sampler repeats
images to make the shares of the processes equal, which would bias a plain mean.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from octosr.metrics.checks import UnscorableImageError, check_images, exact_arithmetic

Definition = dict[str, str | int | float | bool]
"""Everything that determines a metric's value besides the image, as plain values."""

REPEAT_TOLERANCE = 1e-4


class ImageMetric(Metric):
    """Base of all metrics: per-image scores, exact means under any number of processes.

    A subclass sets the class attributes and writes :meth:`_score` (or :meth:`_score_detailed`, if there is more to say
    about an image than its score) and :attr:`definition`.

    Networks of a metric are frozen, always in evaluation mode and no part of ``state_dict()`` or ``parameters()``.

    Args:
        name: column under which the scores are filed; the class's own name of the metric if not given.
    """

    is_differentiable = False
    full_state_update = False
    higher_is_better: bool | None
    """The direction; None for a measure that describes an image without judging it."""
    default_name: ClassVar[str]
    compares_with: Literal["nothing", "hr", "lr"] = "nothing"
    """What :meth:`score` compares with: nothing, the true HR image (same size), or the LR image it was made from."""
    detail_names: tuple[str, ...] = ()
    """What :meth:`score_detailed` says beside the score, e.g. ``blocks``; kept in the table as ``METRIC:DETAIL``."""

    scores: list[Tensor] | Tensor
    index: list[Tensor] | Tensor

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name or self.default_name
        self.add_state("scores", default=[], dist_reduce_fx="cat")
        self.add_state("index", default=[], dist_reduce_fx="cat")

    @property
    def needs_reference(self) -> bool:
        """Whether :meth:`score` compares with a second image, HR or LR."""
        return self.compares_with != "nothing"

    @property
    @abstractmethod
    def definition(self) -> Definition:
        """Everything that determines the value: implementation, version, parameters, protocol, colour, crop."""

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        """Score checked images (B, 3, H, W); returns finite or infinite values (B,)."""
        return self._score_detailed(images, reference)[0]

    def _score_detailed(self, images: Tensor, reference: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores as :meth:`_score`, and one value (B,) for each of :attr:`detail_names`."""
        if type(self)._score is ImageMetric._score:
            raise NotImplementedError(f"{type(self).__name__} writes neither _score nor _score_detailed.")
        return self._score(images, reference), {}

    def _check_reference(self, images: Tensor, reference: Tensor) -> None:
        """Refuse a reference (already a checked image batch) that does not fit the images."""
        if reference.shape != images.shape:
            raise UnscorableImageError(
                f"{self.name}: images are {tuple(images.shape)} but their references are "
                f"{tuple(reference.shape)}; both must have the same size.",
                range(len(images)),
            )

    def prepare(self) -> None:
        """Load now what :meth:`score` needs, so that a broken file shows before hours of work rather than after.

        Raises:
            MissingMetricError: the metric cannot be computed here.
        """

    def score(self, images: Tensor, reference: Tensor | None = None) -> Tensor:
        """Score each image of a batch by itself; a batch of N gives what N single images give.

        The value does not depend on autocast, TF32 or cuDNN settings around the call: those are put aside.

        Args:
            images: float32 RGB in [0, 1], (B, 3, H, W).
            reference: for metrics that compare: HR images of the same shape, or the LR images (B, 3, h, w).

        Returns:
            float64, (B,), on the device of the images (on the CPU where that device has no float64).

        Raises:
            UnscorableImageError: the metric has no value for one of the images; the message says why.
            MissingMetricError: the metric cannot be computed here.
        """
        return self.score_detailed(images, reference)[0]

    def score_detailed(self, images: Tensor, reference: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Like :meth:`score`, with one float64 value (B,) more for each of :attr:`detail_names`."""
        check_images(images, self.name)
        if self.needs_reference:
            if reference is None:
                raise ValueError(f"{self.name} compares with a reference, but none was given.")
            check_images(reference, f"{self.name} (reference)")
            self._check_reference(images, reference)
            reference = reference.to(images.device)
        if images.device.type == "mps":  # no float64 there
            images, reference = images.cpu(), None if reference is None else reference.cpu()
        with exact_arithmetic(images.device):
            scores, details = self._score_detailed(images.float(), None if reference is None else reference.float())
        scores = scores.double()
        unknown = torch.nonzero(scores.isnan()).flatten().tolist()
        if unknown:
            raise UnscorableImageError(f"{self.name} is not a number for image {_listed(unknown)}.", unknown)
        return scores, {name: values.double() for name, values in details.items()}

    def update(self, images: Tensor, index: Tensor, reference: Tensor | None = None) -> None:
        """Score a batch and keep the scores.

        Args:
            images: float32 RGB in [0, 1], (B, 3, H, W).
            index: int64 (B,), names each image within the dataset, the same in every process.
            reference: see :meth:`score`.
        """
        if index.shape != images.shape[:1] or index.dtype != torch.int64:
            raise ValueError(
                f"{self.name}: index must be int64 of shape ({images.shape[0]},), "
                f"but it is {index.dtype} of shape {tuple(index.shape)}."
            )
        scores = self.score(images, reference)
        device = "cpu" if self.device.type == "mps" else self.device
        _state(self.scores).append(scores.detach().to(device))
        _state(self.index).append(index.detach().to(device))

    def compute(self) -> Tensor:
        """The mean over all distinct images of all processes, float64, ().

        Infinite scores (PSNR of identical images) make the mean infinite.

        Raises:
            ValueError: no image was scored.
        """
        return self._distinct()[1].mean()

    def per_image(self) -> tuple[Tensor, Tensor]:
        """The scores of all distinct images of all processes, by ascending index.

        With several processes this is collective: each of them must call it.

        Returns:
            index int64 (N,) and scores float64 (N,).
        """
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self.sync_on_compute):
            return self._distinct()

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather the states of all processes; see :meth:`torchmetrics.Metric.sync`.

        A process that has scored nothing takes part with empty tensors of the right types: torchmetrics would fill in
        float32, and the processes' buffers would not match.
        """
        if isinstance(self.scores, list) and not self.scores:
            self.scores.append(torch.empty(0, dtype=torch.float64, device=self.device))
            _state(self.index).append(torch.empty(0, dtype=torch.int64, device=self.device))
        super().sync(*args, **kwargs)

    def _distinct(self) -> tuple[Tensor, Tensor]:
        index, scores = _joined(self.index), _joined(self.scores)
        if index is None or scores is None or not len(index):
            raise ValueError(f"{self.name} has scored no image yet.")
        order = torch.argsort(index, stable=True)
        index, scores = index[order], scores[order]
        first = torch.ones_like(index, dtype=torch.bool)
        first[1:] = index[1:] != index[:-1]
        kept = scores[first]
        expected = kept[first.cumsum(0) - 1]
        differs = ~torch.isclose(scores, expected, rtol=REPEAT_TOLERANCE, atol=1e-6)
        if differs.any():
            i = int(torch.nonzero(differs)[0])
            raise ValueError(
                f"{self.name}: index {int(index[i])} was given to images with different scores "
                f"({float(expected[i]):.6g} and {float(scores[i]):.6g}). An index must name one image of the dataset."
            )
        return index[first], kept


def _listed(positions: Sequence[int]) -> str:
    return ", ".join(map(str, positions)) + " of the batch"


def _state(state: list[Tensor] | Tensor) -> list[Tensor]:
    assert isinstance(state, list)  # a tensor only between sync and unsync
    return state


def _joined(state: list[Tensor] | Tensor) -> Tensor | None:
    if isinstance(state, Tensor):
        return state
    return dim_zero_cat(state) if state else None
