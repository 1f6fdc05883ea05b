"""Score the images that were saved, not the tensors that were computed: what is judged is what people get."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from octosr.data.decode import read_image
from octosr.errors import OctoSRError
from octosr.evaluation.recipe import file_sha256
from octosr.metrics.base import Definition, ImageMetric, UnscorableImageError


@dataclass
class Scores:
    """Scores of one folder of images.

    Attributes:
        table: columns ``image``, ``sha256`` and one per metric; NaN means not available.
        failures: metric name -> list of (image, reason) for images a metric could not judge.
        computed: metric name -> number of images scored in this run (the others were known).
    """

    table: pd.DataFrame
    failures: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    computed: dict[str, int] = field(default_factory=dict)


@dataclass
class _Saved:
    name: str
    sha256: str
    pixels: Tensor  # (3, H, W) uint8


def score_saved(
    files: Mapping[str, Path],
    metrics: Mapping[str, ImageMetric],
    references: Mapping[str, Path],
    known: Mapping[str, Mapping[str, float]],
    *,
    batch_size: int = 4,
    progress: Callable[[int], None] = lambda n: None,
) -> Scores:
    """Score saved 8-bit images, skipping what is known for the same image bytes.

    Args:
        files: image name -> PNG file.
        metrics: metric name -> metric, already on its device.
        references: image name -> HR reference, for the metrics that need one.
        known: metric name -> {image sha256: score} from earlier runs with the same definition.
        batch_size: images scored at once (images of one batch share a size).
        progress: called with the number of images done.

    Raises:
        OctoSRError: a reference has another size than its image.
    """
    rows: dict[str, dict[str, str | float]] = {}
    failures: dict[str, list[tuple[str, str]]] = {}
    computed = dict.fromkeys(metrics, 0)
    for batch in _batches(files, batch_size):
        for image in batch:
            rows[image.name] = {"image": image.name, "sha256": image.sha256}
        reference = _References(references)
        for name, metric in metrics.items():
            todo = [i for i in batch if i.sha256 not in known.get(name, {})]
            for image in batch:
                rows[image.name][name] = known.get(name, {}).get(image.sha256, math.nan)
            if metric.needs_reference:
                todo = [i for i in todo if i.name in references]
            scores, reasons = _score(metric, todo, reference)
            computed[name] += len(scores)
            for image_name, score in scores.items():
                rows[image_name][name] = score
            if reasons:
                failures.setdefault(name, []).extend(reasons)
        progress(len(batch))
    table = pd.DataFrame([rows[name] for name in files], columns=["image", "sha256", *metrics])
    return Scores(table, failures, computed)


def definition_for(metric: ImageMetric, references: Mapping[str, Path]) -> Definition:
    """A metric's definition; for metrics with a reference the reference files are part of it."""
    definition = dict(metric.definition)
    if metric.needs_reference:
        digest = hashlib.sha256()
        for name in sorted(references):
            digest.update(f"{name}:{file_sha256(references[name])}\n".encode())
        definition["references_sha256"] = digest.hexdigest()
    return definition


class _References:
    """Reads each reference of a batch at most once, whatever the number of metrics."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._images: dict[str, Tensor] = {}

    def __call__(self, images: Sequence[_Saved]) -> Tensor:
        for image in images:
            if image.name not in self._images:
                reference = torch.from_numpy(read_image(self._files[image.name])).permute(2, 0, 1)
                if reference.shape != image.pixels.shape:
                    (_, h, w), (_, rh, rw) = image.pixels.shape, reference.shape
                    raise OctoSRError(
                        f"{self._files[image.name]} is {rw}x{rh}, but the image '{image.name}' that it should be the "
                        f"reference of is {w}x{h}. Give references of exactly the super-resolved size."
                    )
                self._images[image.name] = reference
        return torch.stack([self._images[image.name] for image in images])


def _score(
    metric: ImageMetric, images: Sequence[_Saved], reference: _References
) -> tuple[dict[str, float], list[tuple[str, str]]]:
    """Scores by name, and the images the metric could not judge with the reason."""
    if not images:
        return {}, []
    pixels = torch.stack([image.pixels for image in images]).to(metric.device).float() / 255
    target = reference(images).to(metric.device) if metric.needs_reference else None
    try:
        values = metric.score(pixels, target).cpu().tolist()
    except UnscorableImageError as error:
        bad = set(error.positions)
        rest, reasons = _score(metric, [i for n, i in enumerate(images) if n not in bad], reference)
        return rest, reasons + [(images[n].name, error.message) for n in sorted(bad)]
    return {image.name: float(value) for image, value in zip(images, values, strict=True)}, []


def _batches(files: Mapping[str, Path], batch_size: int) -> Iterator[list[_Saved]]:
    """Batches of images of one size, in the order given as far as sizes allow."""
    waiting: dict[tuple[int, ...], list[_Saved]] = {}
    for name, path in files.items():
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        group = waiting.setdefault(tuple(pixels.shape), [])
        group.append(_Saved(name, hashlib.sha256(content).hexdigest(), pixels))
        if len(group) == batch_size:
            yield waiting.pop(tuple(pixels.shape))
    yield from waiting.values()
