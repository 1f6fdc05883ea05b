"""How varied the generated images of a cell are, written beside its scores: ``output_root/diversity``.

Looks at saved images only, whoever made them: ours, or another's that ``technique=precomputed`` names.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from octosr.atomic import write_bytes
from octosr.data.bank import load_bank
from octosr.data.decode import UnreadableImage
from octosr.data.encode import to_uint8
from octosr.data.whole import WholeSettings, prepare_whole
from octosr.errors import MissingMetricError, OctoSRError
from octosr.evaluation.recipe import STANDIN_LABEL
from octosr.evaluation.saved import in_threads, pixels_of
from octosr.hashing import cached_sha256, file_sha256
from octosr.metrics.diversity import LpipsDiversity, fid_and_kid, find_inception, load_inception
from octosr.metrics.functional.diversity import Diversity, diversity, findings
from octosr.metrics.lpips_network import BACKBONES, find_backbone
from octosr.runs.judge import Cell
from octosr.runs.sweep import warn

log = logging.getLogger(__name__)

VERSION = 2
MOST_REALS = 1000
_LPIPS_NET = "alex"


@dataclass(frozen=True)
class Network:
    """A network that may be used: its weight file, or why it is not.

    Attributes:
        path: the file.
        reason: why there is none.
    """

    path: Path | None
    reason: str = ""

    @classmethod
    def look(cls, find: Callable[[], Path]) -> Network:
        """Find the file, or note why it is not there."""
        try:
            return cls(find())
        except MissingMetricError as error:
            return cls(None, str(error))

    @property
    def sha256(self) -> str | None:
        """Of the file."""
        return cached_sha256(self.path) if self.path is not None else None


def _lpips_file(weights: str | None) -> Path:
    try:
        return find_backbone(_LPIPS_NET, weights, False, "lpips")
    except MissingMetricError as error:
        file = BACKBONES[_LPIPS_NET].file
        raise MissingMetricError(
            f"LPIPS needs the file {file}, which was not found{f' at {weights}' if weights else ''}. Name it with "
            f"diversity.lpips=PATH, or put it into torch's cache folder."
        ) from error


def diversity_path(cfg: DictConfig, technique: str, dataset: str) -> Path:
    """Where the statistics of a cell stand."""
    return Path(cfg.output_root) / "diversity" / technique / f"{dataset}.json"


def measure_diversity(cfg: DictConfig, cell: Cell, device: Callable[[], torch.device]) -> dict[str, Any]:
    """Measure, unless the same images were measured in the same way; warn of collapse and of memorisation.

    Args:
        cfg: the run's config, of which ``diversity`` counts.
        cell: its images; a remark is added to its notes where something is wrong.
        device: says where networks run; asked only if there is one.

    Returns:
        What is written to :func:`diversity_path`; empty where images were not generated, the images that they were
        learned from are not on this machine, or there are fewer than two.

    Raises:
        OctoSRError: the samples differ in size.
    """
    training, filter = cell.learned_from, cell.enlarged_by
    names = [name for name, path in cell.files.items() if path.is_file()][: int(cfg.diversity.samples)]
    if len(names) < 2 or not training:
        return {}
    lpips = Network.look(lambda: _lpips_file(cfg.diversity.lpips))
    inception = Network.look(lambda: find_inception(cfg.diversity.inception))
    files, reals = [cell.files[name] for name in names], dict(list(training.items())[:MOST_REALS])
    digests = in_threads(file_sha256, [*files, *reals.values()])
    definition = {
        "version": VERSION, "filter": filter, "samples": digests[: len(files)], "reals": digests[len(files) :],
        "lpips": lpips.sha256, "inception": inception.sha256,
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
    path = diversity_path(cfg, cell.technique, cell.dataset)
    content = _known(path, key)
    if content is None:
        samples, readable = _samples(dict(zip(names, files, strict=True)))
        if len(readable) < 2:
            return {}
        bank = load_bank(list(reals.values()))
        images = prepare_whole(bank, WholeSettings(samples.shape[-1], filter)).pixels
        content = _measure(samples, images, readable, [path.stem for path in bank.paths], lpips, inception, device)
    content |= {
        "key": key, "technique": cell.technique, "dataset": cell.dataset, "kind": cell.kind,
        "filter": filter, "limits": {name: float(cfg.diversity[name]) for name in _LIMITS},
    }  # fmt: skip
    content["findings"] = _findings(content["distances"], content["limits"])
    if cell.kind == "stand-in":
        content["warning"] = STANDIN_LABEL
    write_bytes(path, (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())
    _say(cell, content, path)
    return content


def _known(path: Path, key: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        log.warning("%s is damaged: measured again", path)
        return None
    return content if isinstance(content, dict) and content.get("key") == key else None


def _samples(files: Mapping[str, Path]) -> tuple[Tensor, list[str]]:
    """(N, 3, H, W) uint8, and the names of those that can be read; the others are said when they are scored."""

    def read(path: Path) -> Tensor | None:
        try:
            return pixels_of(path)
        except UnreadableImage:
            return None

    read_images = dict(zip(files, in_threads(read, list(files.values())), strict=True))
    images = {name: image for name, image in read_images.items() if image is not None}
    shapes = {tuple(image.shape[1:]) for image in images.values()}
    if len(shapes) > 1:
        sizes = ", ".join(f"{w}x{h}" for h, w in sorted(shapes))
        raise OctoSRError(
            f"The images in {next(iter(files.values())).parent} are of different sizes ({sizes}): to compare them with "
            "each other they must be of one. Remove those that do not belong to the set."
        )
    stack = [image if image.dtype == torch.uint8 else to_uint8(image) for image in images.values()]
    return torch.stack(stack) if stack else torch.empty(0), list(images)


def _measure(
    samples: Tensor,
    images: Tensor,
    names: list[str],
    training: list[str],
    lpips: Network,
    inception: Network,
    device: Callable[[], torch.device],
) -> dict[str, Any]:
    plain = diversity(samples, images)
    nearest = zip(names, plain.nearest_image.tolist(), plain.nearest_distance.tolist(), strict=True)
    content: dict[str, Any] = {
        "samples": len(samples),
        "reals": len(images),
        "side": samples.shape[-1],
        "distances": {"octaves": _figures(plain)},
        "nearest": [{"sample": n, "training": training[i], "distance": d} for n, i, d in nearest],
    }
    missing: dict[str, str] = {}
    where = device() if lpips.path or inception.path else torch.device("cpu")
    try:
        if lpips.path is None:
            raise MissingMetricError(lpips.reason)
        found = LpipsDiversity(_LPIPS_NET, lpips.path).to(where)(samples.to(where), images.to(where))
        content["distances"]["lpips"] = _figures(found)
    except MissingMetricError as error:
        missing["lpips"] = str(error)
    try:
        if inception.path is None:
            raise MissingMetricError(inception.reason)
        network = load_inception(inception.path).to(where)
        content |= fid_and_kid(samples.to(where), images.to(where), network)
    except MissingMetricError as error:
        missing |= {"fid": str(error), "kid": str(error)}
    return content | {"not_available": missing}


_MEASURED = ("pairwise", "pairwise_reals", "nearest", "nearest_reals", "energy")
_LIMITS = ("warn_below", "fail_below", "far_above", "gap_above")
_NUMBERS = (*_MEASURED, "pairwise_ratio", "nearest_ratio", "gap")


def _figures(found: Diversity) -> dict[str, float | None]:
    values = {name: float(getattr(found, name)) for name in _NUMBERS} | {"copies": found.copies()}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _findings(measured: Mapping[str, Any], limits: Mapping[str, float]) -> list[dict[str, str]]:
    lines = []
    for distance, figures in measured.items():
        numbers = {n: math.nan if figures[n] is None else figures[n] for n in _MEASURED}
        found = Diversity(0, 0, nearest_distance=torch.empty(0), nearest_image=torch.empty(0), **numbers)
        for severity, line in findings(found, **limits):
            lines.append({"severity": severity, "distance": distance, "line": line})
    return lines


def _say(cell: Cell, content: Mapping[str, Any], path: Path) -> None:
    figures = content["distances"]["octaves"]
    words = {name: "unknown" if figures[name] is None else f"{figures[name]:.2f}" for name in _NUMBERS}
    log.info(
        "diversity of %d images: pairs %sx and nearest training image %sx of the real images' distance, gap %s (%s)",
        content["samples"], words["pairwise_ratio"], words["nearest_ratio"], words["gap"], path,
    )  # fmt: skip
    reasons: dict[str, list[str]] = {}
    for name, reason in content["not_available"].items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        log.info("not available: %s. %s", ", ".join(names), reason)
    for finding in content["findings"]:
        warn(f"{cell.technique} on {cell.dataset}, {finding['distance']}: {finding['line']}")
    cell.notes += dict.fromkeys(finding["line"].split(":")[0] for finding in content["findings"])
