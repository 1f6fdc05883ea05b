"""Cells whose images are there already, made by anyone (``technique=precomputed``) or by us (``metrics.only=true``)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from octosr.atomic import write_bytes
from octosr.catalog import DATASETS
from octosr.data.datamodule import ImageDataModule
from octosr.data.kernel_files import without_kernels
from octosr.data.locate import MARKER, OWN_MARKER, images_under, natural_key
from octosr.data.results import Results, find_results
from octosr.data.sources import FOLDER, kind_of
from octosr.errors import MissingDataError
from octosr.evaluation.recipe import STANDIN_LABEL
from octosr.evaluation.saved import saved_images
from octosr.runs.build import build, build_datamodule
from octosr.runs.judge import GENERATED, Cell, score_store
from octosr.runs.sweep import warn
from octosr.techniques.precomputed import Precomputed
from octosr.typed import typed

log = logging.getLogger(__name__)


def precomputed_cell(cfg: DictConfig) -> Cell:
    """The images in ``technique.root``, matched to LR images where those are on this machine.

    The images are scored where they lie, as they are; ``provenance.json`` in the output folder lists them.

    Raises:
        MissingDataError: no images there.
        ConfigError: it is not clear which LR image some of them belong to.
    """
    technique: Precomputed = build(cfg.technique)
    dataset = cfg.dataset.name
    score_store(cfg).path(technique.name, dataset)  # a name that is no file name shows before anything is written
    datamodule = _lr_images(cfg)
    results = find_results(
        technique.root,
        dataset,
        technique.name,
        None if datamodule is None else datamodule.names,
        suffix=technique.suffix,
        paired=technique.paired,
    )
    matched = [name for name in results.files if name not in results.unpaired]
    if datamodule is not None and matched:
        kind = datamodule.kind
    else:  # the LR images say nothing about these
        places = (results.folder, results.folder.parent)
        marked = {name: any((place / name).is_file() for place in places) for name in (MARKER, OWN_MARKER)}
        kind = kind_of(dataset, marked[MARKER], marked[OWN_MARKER])
    cell = Cell(technique.name, dataset, kind, results.files)
    reason = "generated" if not technique.paired else "it belongs to no LR image by its name"
    cell.apart = {to: dict.fromkeys(results.unpaired, reason) for to in ("hr", "lr")}
    if datamodule is not None:
        cell.references = {
            "hr": {name: path for name, path in datamodule.references.items() if name in matched},
            "lr": {name: datamodule.files[name] for name in matched},
        }
        if not technique.paired:
            cell.learned_from = training_images(cfg, datamodule)
    elif matched:
        cell.absent = _absent(cfg)
    _say_matches(results, matched, datamodule)
    if results.without and matched:
        cell.notes.append(f"{len(results.without)} LR images without a result")
    if results.unpaired and matched:
        cell.notes.append(f"{len(results.unpaired)} of no LR image")
    _write_sources(cfg, cell, results)
    return cell


def saved_cell(cfg: DictConfig, generative: bool) -> Cell:
    """The images that ``eval.py`` saved earlier; neither the technique nor its weights are needed.

    Raises:
        MissingDataError: no image is there.
    """
    name, dataset = str(cfg.technique.name), str(cfg.dataset.name)
    folder = Path(cfg.output_root) / "hr" / name / dataset
    images = without_kernels(path for path in folder.glob("*.png") if not path.name.startswith("."))
    there = {path.stem: path for path in images}
    choice = dataset if dataset in DATASETS else f"more/{dataset}"
    command = f"{typed('eval')} technique={name} dataset={choice}"
    if not there:
        raise MissingDataError(
            f"metrics.only=true scores the images in {folder}, but there are none. To make them: {command}"
        )
    datamodule = _lr_images(cfg)
    everything = {stem: there[stem] for stem in sorted(there, key=natural_key)}
    if generative:
        kind = _recorded_kind(folder, dataset) if datamodule is None else datamodule.kind
        cell = Cell(name, dataset, kind, everything)
        training = None if datamodule is None else training_images(cfg, datamodule)
        cell.set_apart(GENERATED, training, str(cfg.technique.get("enlarge", "lanczos")))
        expected = 0 if datamodule is None else len(datamodule.names)
        if len(everything) < expected:
            warn(f"{folder} lacks {expected - len(everything)} of {expected} images. To make them: {command}")
            cell.notes.append(f"{expected - len(everything)} images not made yet")
        return cell
    if datamodule is None:
        cell = Cell(name, dataset, _recorded_kind(folder, dataset), everything, absent=_absent(cfg))
    else:
        files = {stem: there[stem] for stem in datamodule.names if stem in there}
        cell = Cell(name, dataset, datamodule.kind, files)
        cell.references = {"hr": datamodule.references, "lr": datamodule.files}
        lacking = [stem for stem in datamodule.names if stem not in there]
        if lacking:
            count = f"{len(lacking)} of {len(datamodule.names)} images"
            warn(f"{folder} lacks {count}: {_few(lacking)}. To make them: {command}")
            cell.notes.append(f"{len(lacking)} images not made yet")
        if not files:
            raise MissingDataError(f"{folder} holds none of the images of {dataset}. To make them: {command}")
    return cell


def training_images(cfg: DictConfig, datamodule: ImageDataModule) -> dict[str, Path]:
    """What a generative technique learns from: the dataset's own images, or those of ``data.hr_root``."""
    if cfg.data.source == "hr_root" and cfg.data.hr_root is not None:
        return {path.stem: path for path in images_under(cfg.data.hr_root)}
    return datamodule.files


def _lr_images(cfg: DictConfig) -> ImageDataModule | None:
    """The dataset's LR images, found but not decoded; None where they are not on this machine."""
    if cfg.dataset.name == FOLDER and (OmegaConf.is_missing(cfg.dataset, "path") or cfg.dataset.path is None):
        return None
    datamodule = build_datamodule(cfg)
    datamodule.prepare_data()
    try:
        datamodule.find()
    except MissingDataError as error:
        log.info("going on without the LR images: %s", str(error).splitlines()[0])
        return None
    return datamodule


def _absent(cfg: DictConfig) -> dict[str, str]:
    reason = f"the LR images of {cfg.dataset.name} are not on this machine; data.root=FOLDER says where they are"
    return {"hr": reason, "lr": reason}


def _say_matches(results: Results, matched: list[str], datamodule: ImageDataModule | None) -> None:
    log.info("%d images in %s, %d of them matched to LR images", len(results.files), results.folder, len(matched))
    if datamodule is None:
        return
    if not matched:
        warn(f"no image in {results.folder} matches an LR image of {datamodule.dataset} by name; scored without")
    if results.unpaired and matched:
        warn(f"{len(results.unpaired)} images match no LR image by name: {_few(results.unpaired)}")
    if results.without and matched:
        warn(f"{len(results.without)} LR images have no result in {results.folder}: {_few(results.without)}")


def _few(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _recorded_kind(folder: Path, dataset: str) -> str:
    """The kind of data that the images were made from, as noted beside them."""
    path = folder / "provenance.json"
    if not path.is_file():
        return kind_of(dataset, standin=False)
    try:
        return str(json.loads(path.read_bytes())["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise MissingDataError(
            f"{path} is damaged ({error}), so it is not known what the images were made from. Remove it if they were "
            "made from the dataset's own images, or make them again."
        ) from error


def _write_sources(cfg: DictConfig, cell: Cell, results: Results) -> None:
    """Which files were scored under which names: they are not copied."""
    images, _ = saved_images(results.files, {})
    content: Mapping[str, Any] = {
        "technique": cell.technique,
        "dataset": cell.dataset,
        "kind": cell.kind,
        "folder": str(results.folder.resolve()),
        "images": {i.name: {"file": i.path.name, "sha256": i.sha256} for i in images},
        "of_no_lr_image": list(results.unpaired),
    } | ({"warning": STANDIN_LABEL} if cell.kind == "stand-in" else {})
    path = Path(cfg.output_root) / "hr" / cell.technique / cell.dataset / "provenance.json"
    text = json.dumps(content, indent=2, ensure_ascii=True) + "\n"
    if not path.is_file() or path.read_bytes() != text.encode():
        write_bytes(path, text.encode())
