"""The embedded demo set: real photographs of all five domains, cut once into training, evaluation and paired images.

`build_demo(cache)` makes ``cache/demo-v1/``:

- ``train/*.png``: HR training crops, side by side, from the training regions;
- ``LR/*.png``: 128x128 images from the held-out regions; ``HR/*.png``: 1024x1024 references where they exist (retina);
- ``pairs/HR/*.png``, ``pairs/LR/*.png``: held-out tiles of 256x256 and their 32x32 images (see `octosr.data.blind8`);
- ``index.json``: where every file was cut, from what, under which licence, with its sha256.

Sources and licences: docs/demo_data.md.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock

from octosr.data.blind8 import RADIUS, SCALE, degrade, tile_sigma
from octosr.data.demo_layout import INPUT, LAYOUTS, TILE, Box
from octosr.data.encode import encode_png
from octosr.data.photographs import PHOTOGRAPHS, Photograph, load_photograph, package_version, pixels_sha256

log = logging.getLogger(__name__)

NAME = "demo-v1"


class Cut(NamedTuple):
    """One file to write: its folder and name in the demo set, where it comes from, and the blur of a degraded one."""

    folder: str
    name: str
    box: Box
    sigma: float | None = None

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}.png"


def plan_cuts(photograph: Photograph) -> Iterator[Cut]:
    """All files that a photograph is cut into; nothing is read."""
    layout, stem = LAYOUTS[photograph.name], f"{photograph.domain}-{photograph.name}"
    cells = [cell for region in layout.train for cell in region.cells()]
    for k, cell in enumerate(cells, 1):
        yield Cut("train", f"{stem}-{k}", cell)
    inputs = [Box(left, top, INPUT, INPUT) for left, top in layout.inputs]
    for k, box in enumerate(inputs, 1):
        yield Cut("LR", f"{stem}-{k}", box)
    if layout.reference:
        name = f"{stem}-{len(inputs) + 1}"
        yield Cut("HR", name, layout.held_out)
        yield Cut("LR", name, layout.held_out, tile_sigma(f"LR/{name}"))
    for k, (left, top) in enumerate(layout.tiles, 1):
        name, box = f"{stem}-{k}", Box(left, top, TILE, TILE)
        yield Cut("pairs/HR", name, box)
        yield Cut("pairs/LR", name, box, tile_sigma(f"pairs/{name}"))


def build_demo(cache: str | Path) -> Path:
    """Make the demo set under `cache` if it is not there yet.

    The files are the same bytes every time. The folder appears complete or not at all, and several processes may
    call this at once; a call with the set in place only looks at the file sizes.

    Args:
        cache: folder for things that can be made again, for example outputs/cache.

    Returns:
        The folder ``cache/demo-v1``.

    Raises:
        MissingDataError: a package that carries a photograph is missing; the message says how to install it.
    """
    folder = Path(cache) / NAME
    if is_complete(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if is_complete(folder):  # another process has made it while this one waited
            return folder
        log.info("making the demo set in %s", folder)
        temporary = folder.with_name(f".{NAME}-{uuid.uuid4().hex}")
        try:
            _write(temporary)
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def is_complete(folder: str | Path) -> bool:
    """Whether the demo set lies there whole: an index of today's cuts, and every file of it with its size."""
    try:
        index = read_index(folder)
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return False
    files: dict[str, dict[str, Any]] = index.get("files", {})
    planned = {cut.path: (cut.box._asdict(), cut.sigma) for p in PHOTOGRAPHS for cut in plan_cuts(p)}
    if index.get("format") != NAME or {k: (v["box"], v.get("sigma")) for k, v in files.items()} != planned:
        return False
    for path, entry in files.items():
        try:
            size = (Path(folder) / path).stat().st_size
        except FileNotFoundError:
            return False
        if size != entry["bytes"]:
            return False
    return True


def read_index(folder: str | Path) -> dict[str, Any]:
    """The demo set's index.json: keys format, degradation, photographs (by name), files (by path in the set)."""
    index: dict[str, Any] = json.loads((Path(folder) / "index.json").read_text(encoding="utf-8"))
    return index


def _write(folder: Path) -> None:
    photographs: dict[str, dict[str, Any]] = {}
    files: dict[str, dict[str, Any]] = {}
    for photograph in PHOTOGRAPHS:
        pixels = load_photograph(photograph)
        photographs[photograph.name] = _describe(photograph, pixels)
        for cut in plan_cuts(photograph):
            files[cut.path] = _write_cut(folder, cut, photograph, pixels)
    index = {"format": NAME, "degradation": _DEGRADATION, "photographs": photographs, "files": files}
    (folder / "index.json").write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


_DEGRADATION = {
    "model": "isotropic Gaussian blur, MATLAB-style bicubic reduction, 8-bit rounding",
    "scale": SCALE,
    "kernel_size": 2 * RADIUS + 1,
}


def _describe(photograph: Photograph, pixels: np.ndarray) -> dict[str, Any]:
    layout, found = LAYOUTS[photograph.name], pixels_sha256(pixels)
    return {
        "domain": photograph.domain,
        "package": photograph.package,
        "version": package_version(photograph),
        "file": f"{photograph.module}/{photograph.file}",
        "size": [photograph.width, photograph.height],
        "author": photograph.author,
        "licence": photograph.licence,
        "sha256_of_pixels": found,
        "as_recorded": found == photograph.sha256,
        "held_out": layout.held_out._asdict(),
        "train": [box._asdict() for box in layout.train],
    }


def _write_cut(folder: Path, cut: Cut, photograph: Photograph, pixels: np.ndarray) -> dict[str, Any]:
    left, top, width, height = cut.box
    image = pixels[top : top + height, left : left + width]
    if cut.sigma is not None:
        image = degrade(image, cut.sigma)
    path = folder / cut.path
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {"octosr": "demo", "Author": photograph.author, "Copyright": photograph.licence}
    data = encode_png(torch.from_numpy(image.transpose(2, 0, 1).copy()), text)
    path.write_bytes(data)  # the whole folder appears in one step, so its files need not
    entry = {"photograph": photograph.name, "domain": photograph.domain, "box": cut.box._asdict()}
    degraded = {} if cut.sigma is None else {"sigma": cut.sigma}
    return {**entry, **degraded, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
