"""MANIQA's weight files: where they are looked for, and what is read from them."""

from __future__ import annotations

import logging
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import torch
from filelock import FileLock
from torch import Tensor

from octosr.errors import ConfigError, MissingMetricError, nearest
from octosr.metrics.iqa import import_arch

logger = logging.getLogger(__name__)


class Variant(NamedTuple):
    """One published set of weights: its file in pyiqa's collection, and the residual scale it was trained with.

    The scale is not stored in the file, and a wrong one shifts the scores without any error.
    """

    file: str
    scale: float


VARIANTS: Mapping[str, Variant] = {
    "koniq": Variant("ckpt_koniq10k.pt", 0.8),
    "kadid": Variant("ckpt_kadid10k.pt", 0.8),
    "pipal": Variant("MANIQA_PIPAL-ae6d356b.pth", 0.13),
}

MARKS: Mapping[str, tuple[int, ...]] = {
    "vit.pos_embed": (1, 785, 768),
    "vit.blocks.9.mlp.fc2.weight": (768, 3072),
    "tablock1.0.c_q.weight": (784, 784),
    "conv1.weight": (768, 3072, 1, 1),
    "swintransformer2.layers.1.blocks.1.attn.qkv.weight": (1152, 384),
    "fc_weight.3.weight": (1, 384),
}
"""Tensors that tell a MANIQA file from any other without building the network."""


def variant_of(name: str) -> Variant:
    """Look up a variant.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in VARIANTS:
        raise ConfigError(f"MANIQA has no variant '{name}'; there are {', '.join(VARIANTS)}.{nearest(name, VARIANTS)}")
    return VARIANTS[name]


def cache_folder() -> Path:
    """Where pyiqa keeps downloaded weights: ``$TORCH_HOME/hub/pyiqa``, by default under ``~/.cache/torch``."""
    return Path(torch.hub.get_dir()) / "pyiqa"


def find_weights(variant: str, weights: str | Path | None, download: bool, name: str = "maniqa") -> Path:
    """The weight file: the path given, else pyiqa's cache, else (only if allowed) fetched into that cache.

    Raises:
        MissingMetricError: it is nowhere; the message says where was looked and how to get it.
        ConfigError: the file given is the published file of another variant.
    """
    known = variant_of(variant)
    cached = cache_folder() / known.file
    if weights is not None:
        path = Path(weights).expanduser()
        other = next((key for key, v in VARIANTS.items() if v.file == path.name and key != variant), None)
        if other is not None:
            raise ConfigError(
                f"{path} holds MANIQA's weights for variant '{other}', but metrics.{name}.variant is '{variant}'. "
                f"Set metrics.{name}.variant={other}."
            )
        if path.is_file():
            return path
        looked = [path]
    elif cached.is_file():
        return cached
    elif download:
        return _download(variant, cached, name)
    else:
        looked = [cached]
    raise MissingMetricError(
        f"MANIQA ({variant}) needs its weights, the file {known.file} (about 540 MB), which was not found. Looked at: "
        f"{', '.join(str(p.absolute()) for p in looked)}. Three ways to get it: metrics.{name}.weights=PATH names a "
        f"local copy; or put the file at {cached}; or metrics.download=true fetches it from pyiqa's collection "
        f"({_url(variant)}). To go on without it: metrics.on_missing=skip."
    )


def _url(variant: str) -> str:
    """The address pyiqa would download from, known without importing pyiqa so that the message comes at once."""
    return f"https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main/{VARIANTS[variant].file}"


def _download(variant: str, target: Path, name: str) -> Path:
    url = import_arch("maniqa_arch", "maniqa").default_model_urls[variant]
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(target) + ".lock"):  # several processes of one run
        if not target.is_file():
            logger.info("Downloading MANIQA's weights %s to %s", url, target)
            try:
                torch.hub.download_url_to_file(url, str(target), progress=False)  # into a temporary file, then moved
            except (URLError, OSError, RuntimeError) as error:
                raise MissingMetricError(
                    f"MANIQA's weights could not be downloaded from {url} to {target}: {error}. Fetch the file by hand "
                    f"and name it with metrics.{name}.weights=PATH, or go on without it: metrics.on_missing=skip."
                ) from error
    return target


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file, by the names that the network gives them.

    Understood are pyiqa's files (the tensors under ``params``), the official ones for KonIQ and KADID (the tensors
    themselves, or from several GPUs with ``module.`` before each name) and common training checkpoints (under
    ``state_dict`` or ``model``). No code from a file is ever run.

    Raises:
        MissingMetricError: the file is damaged, holds something else, or would have to run code to be read, as the
            official PIPAL release, which holds the whole pickled module.
    """
    try:
        # Mapped, not read: what only looks at names and shapes then takes milliseconds. Older formats have no such way.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise MissingMetricError(_unreadable(path, error)) from error
    for key in ("params", "state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise MissingMetricError(f"{path} is no MANIQA weight file: expected names of tensors, found something else.")
    state = {str(key).removeprefix("module."): value for key, value in content.items()}
    for name, shape in MARKS.items():
        found = tuple(state[name].shape) if name in state else "nothing"
        if found != shape:
            raise MissingMetricError(
                f"{path} does not fit MANIQA's network: under '{name}' it should hold {shape}, but holds {found}. "
                f"The published files are {', '.join(v.file for v in VARIANTS.values())}."
            )
    return state


def _unreadable(path: Path, error: Exception) -> str:
    code = re.search(r"GLOBAL (\S+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and code is not None:
        return (
            f"{path} cannot be read: it holds Python objects ({code[1]}) beside tensors, and reading those could run "
            "any code, so the file is refused. The official PIPAL release is of this kind, a whole pickled module. Use "
            f"pyiqa's file of the same weights, {VARIANTS['pipal'].file} ({_url('pipal')}), with "
            "metrics.maniqa.variant=pipal. Or, if you trust the file, save its tensors alone, inside a clone of "
            'github.com/IIGROUP/MANIQA: python -c "import torch; '
            f"torch.save(torch.load('{path.name}', map_location='cpu', weights_only=False).state_dict(), 'own.pt')\""
        )
    # torch's own words about a broken pickle advise to load it without protection: not repeated here.
    about = "no weight file of torch's" if isinstance(error, pickle.UnpicklingError) else str(error).partition("\n")[0]
    return f"{path} cannot be read as MANIQA weights ({about}). It may be cut short: fetch it again."
