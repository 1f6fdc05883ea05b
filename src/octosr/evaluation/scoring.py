"""Score the images that were saved, not the tensors that were computed: what is judged is what people get."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from octosr.data.decode import UnreadableImage
from octosr.evaluation.saved import SavedImage, pixels_of, unit_range
from octosr.metrics.base import Definition, ImageMetric, UnscorableImageError

_WAITING = 4  # batches' worth of decoded images that may wait for others of their size


class Sink(Protocol):
    """Takes scores as they are made."""

    def add(self, metric: str, image: SavedImage, score: float, details: Mapping[str, float]) -> None:
        """One score, and what the metric says beside it."""

    def fail(self, metric: str, image: SavedImage, reason: str) -> None:
        """The metric cannot judge this image."""

    def checkpoint(self) -> None:
        """Called after each batch of each metric: a good moment to save."""


def definition_of(metric: ImageMetric) -> Definition:
    """A metric's definition with what it compares with; which file that is, is kept with each image."""
    if not metric.needs_reference:
        return dict(metric.definition)
    return dict(metric.definition) | {"compares_with": metric.compares_with}


def score_images(
    images: Sequence[SavedImage],
    metrics: Mapping[str, ImageMetric],
    todo: Mapping[str, Collection[str]],
    sink: Sink,
    *,
    batch_size: int = 4,
    progress: Callable[[int], None] = lambda n: None,
) -> list[tuple[str, str]]:
    """Score images of any sizes; only what is to be done is decoded.

    Args:
        images: the images.
        metrics: metric name -> metric, already on its device.
        todo: metric name -> names of the images it has to score; they have the reference it compares with.
        sink: takes the scores.
        batch_size: images scored at once (images of one batch share a size).
        progress: called with the number of images done.

    Returns:
        (file, reason) of the images that cannot be decoded.
    """
    wanted = [image for image in images if any(image.name in names for names in todo.values())]
    problems: list[tuple[str, str]] = []
    for batch in _batches(wanted, batch_size, problems):
        references = _References()
        for name, metric in metrics.items():
            chosen = [(image, pixels) for image, pixels in batch if image.name in todo.get(name, ())]
            for group in references.groups(metric, name, chosen, sink):
                _score(name, metric, *group, sink)
            if chosen:
                sink.checkpoint()
        progress(len(batch))
    return problems


_Chosen = list[tuple[SavedImage, Tensor]]


class _References:
    """Decodes each reference of a batch at most once, whatever the number of metrics."""

    def __init__(self) -> None:
        self._decoded: dict[object, Tensor | str] = {}

    def groups(
        self, metric: ImageMetric, name: str, chosen: _Chosen, sink: Sink
    ) -> Iterator[tuple[list[SavedImage], Tensor, Tensor | None]]:
        """Images and references stacked, one group for each size of references."""
        if not metric.needs_reference:
            if chosen:
                yield [image for image, _ in chosen], torch.stack([pixels for _, pixels in chosen]), None
            return
        by_shape: dict[tuple[object, ...], list[tuple[SavedImage, Tensor, Tensor]]] = {}
        for image, pixels in chosen:
            reference = self._reference(image, metric.compares_with)
            if isinstance(reference, str):
                sink.fail(name, image, reference)
            else:
                by_shape.setdefault(tuple(reference.shape), []).append((image, pixels, reference))
        for members in by_shape.values():
            found, pictures, targets = zip(*members, strict=True)
            yield list(found), torch.stack(pictures), torch.stack(targets)

    def _reference(self, image: SavedImage, kind: str) -> Tensor | str:
        path = image.references[kind]
        if path not in self._decoded:
            try:
                self._decoded[path] = unit_range(pixels_of(path))
            except UnreadableImage as error:
                self._decoded[path] = f"the {kind.upper()} image {path} cannot be used: {error.reason}"
        return self._decoded[path]


def _score(
    name: str, metric: ImageMetric, images: list[SavedImage], pixels: Tensor, reference: Tensor | None, sink: Sink
) -> None:
    """Score what can be scored; the images that the metric cannot judge are taken out and said."""
    while images:
        try:
            batch = unit_range(pixels.to(metric.device))
            scores, details = metric.score_detailed(batch, None if reference is None else reference.to(metric.device))
        except UnscorableImageError as error:
            bad = set(error.positions)
            for n in sorted(bad):
                sink.fail(name, images[n], error.message)
            good = [n for n in range(len(images)) if n not in bad]
            images, pixels = [images[n] for n in good], pixels[good]
            reference = None if reference is None else reference[good]
            continue
        columns = {detail: values.cpu().tolist() for detail, values in details.items()}
        for n, (image, score) in enumerate(zip(images, scores.cpu().tolist(), strict=True)):
            sink.add(name, image, float(score), {detail: float(values[n]) for detail, values in columns.items()})
        return


def _batches(images: Sequence[SavedImage], batch_size: int, problems: list[tuple[str, str]]) -> Iterator[_Chosen]:
    """Batches of images of one size, in the order given as far as sizes allow."""
    waiting: dict[tuple[object, ...], _Chosen] = {}
    for image, pixels in _decoded(images, batch_size):
        if isinstance(pixels, UnreadableImage):
            problems.append((str(pixels.path), pixels.reason))
            continue
        group = waiting.setdefault((*pixels.shape, pixels.dtype), [])
        group.append((image, pixels))
        if len(group) == batch_size:
            yield waiting.pop((*pixels.shape, pixels.dtype))
        elif sum(map(len, waiting.values())) >= _WAITING * batch_size:
            yield waiting.pop(next(iter(waiting)))  # the one that has waited longest
    yield from waiting.values()


def _decoded(images: Sequence[SavedImage], ahead: int) -> Iterator[tuple[SavedImage, Tensor | UnreadableImage]]:
    """Images decoded in a thread while others are being scored."""

    def work(image: SavedImage) -> Tensor | UnreadableImage:
        try:
            return pixels_of(image.path)
        except UnreadableImage as error:
            return error

    queue: deque[tuple[SavedImage, Future[Tensor | UnreadableImage]]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for image in images:
            queue.append((image, pool.submit(work, image)))
            if len(queue) > ahead:
                first, future = queue.popleft()
                yield first, future.result()
        for first, future in queue:
            yield first, future.result()
