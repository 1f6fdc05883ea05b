"""Stand-ins: small sets cut from the demo photographs, laid where the study's datasets belong.

With them every command can be tried before the real data is there. A stand-in is marked three times: by STANDIN.json in
the dataset's folder (which `octosr.data.locate` looks for), by the text "octosr: STAND-IN" inside every PNG, and by
every table, log line and picture made from it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from octosr.catalog import DATASETS, LR_SIDE, Dataset, find
from octosr.data.decode import read_image_uint8
from octosr.data.demo import read_index
from octosr.data.encode import encode_png
from octosr.data.locate import MARKER
from octosr.data.standin_guard import JUNK, refuse_foreign
from octosr.errors import ConfigError

log = logging.getLogger(__name__)

KIND = "STAND-IN"


def build_standins(
    root: str | Path,
    names: Sequence[str],
    demo_folder: str | Path,
    count: int = 6,
    advance: Callable[[str], None] | None = None,
) -> list[Path]:
    """Lay stand-ins for datasets of the study under `root`, as ``root/<dataset>/LR/*.png`` of 128x128.

    All folders are looked at before the first is written. The crops of a dataset depend on its name and `count` alone
    and are not shared with any other dataset. Doing it again changes nothing.

    Args:
        root: the folder in which the datasets lie (data.root).
        names: datasets of the study.
        demo_folder: what `octosr.data.demo.build_demo` returned.
        count: images a dataset.
        advance: called with the name of each dataset when it is done.

    Returns:
        The folder of each dataset, in the order of `names`.

    Raises:
        ConfigError: an unknown dataset; a folder that holds files of somebody else; more images asked for than the demo
            photographs of the domain give.
    """
    datasets = [find(name) for name in names]
    root = Path(root)
    if count < 1:
        raise ConfigError(f"count={count}: a stand-in has one image or more.")
    root.mkdir(parents=True, exist_ok=True)
    crops: dict[str, list[tuple[str, int, int]]] = {}
    folders = []
    with FileLock(root / ".standin.lock"):
        refuse_foreign(root, datasets)
        for dataset in datasets:
            if dataset.domain not in crops:
                siblings = sum(other.domain == dataset.domain for other in DATASETS.values())
                crops[dataset.domain] = _candidates(Path(demo_folder), dataset.domain, count * siblings)
            folders.append(_build(root, dataset, Path(demo_folder), crops[dataset.domain], count))
            if advance is not None:
                advance(dataset.name)
    return folders


def _candidates(demo: Path, domain: str, needed: int) -> list[tuple[str, int, int]]:
    """At least `needed` crops (file in the demo set, left, top) of a domain: the more detailed half of each photograph.

    Their order is a fixed mixture of all files.
    """
    files = read_index(demo)["files"]
    sources: dict[str, list[str]] = {}
    for path, entry in sorted(files.items()):
        if entry["domain"] == domain.lower() and path.startswith(("train/", "pairs/HR/")):
            sources.setdefault(entry["photograph"], []).append(path)
    found: list[tuple[str, int, int]] = []
    for stride in (64, 32, 16, 8):
        found = [crop for paths in sources.values() for crop in _detailed_half(demo, paths, stride)]
        if len(found) >= needed:
            return sorted(found, key=lambda crop: hashlib.sha256(repr(crop).encode()).digest())
    raise ConfigError(f"The demo photographs give {len(found)} stand-in images for {domain}; {needed} are asked for.")


def _detailed_half(demo: Path, paths: Sequence[str], stride: int) -> list[tuple[str, int, int]]:
    images = {path: read_image_uint8(demo / path) for path in paths}
    detail = {
        (path, left, top): _detail(image[top : top + LR_SIDE, left : left + LR_SIDE])
        for path, image in images.items()
        for top in _positions(image.shape[0], stride)
        for left in _positions(image.shape[1], stride)
    }
    return sorted(detail, key=lambda crop: (-detail[crop], crop))[: (len(detail) + 1) // 2]


def _detail(image: np.ndarray) -> int:
    """Sum of the absolute differences between neighbouring pixels: low for blank sky or blurred background."""
    grey = image.astype(np.int64).sum(axis=2)
    return int(np.abs(np.diff(grey, axis=0)).sum() + np.abs(np.diff(grey, axis=1)).sum())


def _positions(size: int, stride: int) -> list[int]:
    last = size - LR_SIDE
    return sorted({*range(0, last + 1, stride), last}) if last >= 0 else []


def _build(root: Path, dataset: Dataset, demo: Path, crops: list[tuple[str, int, int]], count: int) -> Path:
    siblings = [name for name, other in DATASETS.items() if other.domain == dataset.domain]
    chosen = crops[siblings.index(dataset.name) :: len(siblings)][:count]
    index = read_index(demo)
    contents: dict[str, bytes] = {}
    entries: dict[str, dict[str, Any]] = {}
    for k, (path, left, top) in enumerate(chosen):
        source = index["files"][path]
        photograph = index["photographs"][source["photograph"]]
        crop = read_image_uint8(demo / path)[top : top + LR_SIDE, left : left + LR_SIDE]
        text = {"octosr": KIND, "Author": photograph["author"], "Copyright": photograph["licence"]}
        name = f"LR/{numbered_stem(dataset, k)}.png"
        contents[name] = encode_png(torch.from_numpy(crop.transpose(2, 0, 1).copy()), text)
        box = source["box"]
        entries[name] = {
            "photograph": source["photograph"],
            "package": photograph["package"],
            "licence": photograph["licence"],
            "box": {"left": box["left"] + left, "top": box["top"] + top, "width": LR_SIDE, "height": LR_SIDE},
            "sha256": hashlib.sha256(contents[name]).hexdigest(),
        }
    marker = {
        "kind": KIND,
        "dataset": dataset.name,
        "domain": dataset.domain,
        "note": "NOT the study's images: crops of demo photographs, for trying the commands. Scores mean nothing.",
        "made_from": index["format"],
        "files": entries,
    }
    contents[MARKER] = (json.dumps(marker, indent=1, ensure_ascii=False) + "\n").encode()
    _place(root / dataset.name, contents)
    return root / dataset.name


def numbered_stem(dataset: Dataset, k: int) -> str:
    """A file stem after the dataset's naming pattern: its example, with k added to the last number in it."""
    found = re.search(r"(\d+)(?=\D*$)", dataset.example)
    if found is None:
        return f"{dataset.example}{k}"
    digits = found.group(1)
    return dataset.example[: found.start()] + f"{int(digits) + k:0{len(digits)}d}" + dataset.example[found.end() :]


def _place(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Put the files there in one step, marker included; a folder that holds just these files is left as it is."""
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - JUNK
    if there == set(contents) and all((folder / name).read_bytes() == data for name, data in contents.items()):
        return
    temporary = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        for name, data in contents.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(data)
        if folder.exists():
            shutil.rmtree(folder)  # an older stand-in and nothing else: see refuse_foreign
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    log.debug("%s: %s laid, %d images", folder, KIND, len(contents) - 1)
