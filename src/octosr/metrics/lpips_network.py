"""The file of LPIPS's backbone, for metrics: where it is looked for, and its download where that is allowed."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import torch
from filelock import FileLock

from octosr.errors import MissingMetricError
from octosr.lpips_network import ADDRESS, BACKBONES, Backbone, load_lpips

__all__ = ["ADDRESS", "BACKBONES", "find_backbone", "load_lpips"]


def find_backbone(net: str, weights: str | Path | None, download: bool, name: str) -> Path:
    """The backbone's weight file: the path given, else torch's cache, else (only if allowed) fetched into that cache.

    Raises:
        MissingMetricError: it is nowhere; the message says where was looked and how to get it.
    """
    known = BACKBONES[net]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / known.file
    path = cached if weights is None else Path(weights).expanduser()
    if path.is_file():
        return path
    if weights is None and download:
        return _download(known, cached, name)
    raise MissingMetricError(
        f"The metric '{name}' needs the ImageNet weights of its backbone, the file {known.file} (about "
        f"{known.megabytes} MB), which was not found. Looked at: {path.absolute()}. Three ways to get it: "
        f"metrics.{name}.weights=PATH names a local copy; or put the file at {cached}; or metrics.download=true "
        f"fetches it ({ADDRESS}{known.file}). To go on without it: metrics.on_missing=skip."
    )


def _download(known: Backbone, target: Path, name: str) -> Path:
    url = ADDRESS + known.file
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(target) + ".lock"):  # several processes of one run
        if not target.is_file():
            prefix = target.stem.rsplit("-", 1)[1]
            try:  # into a temporary file, checked, then moved
                torch.hub.download_url_to_file(url, str(target), hash_prefix=prefix, progress=False)
            except (URLError, OSError, RuntimeError) as error:
                raise MissingMetricError(
                    f"The backbone's weights could not be downloaded from {url} to {target}: {error}. Fetch the file "
                    f"by hand and name it with metrics.{name}.weights=PATH, or go on without it: "
                    "metrics.on_missing=skip."
                ) from error
    return target
