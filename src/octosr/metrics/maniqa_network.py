"""MANIQA's network: pyiqa's class, built without downloads, and its weight files."""

from __future__ import annotations

import hashlib
import logging
import pickle
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.error import URLError

import torch
from filelock import FileLock
from torch import Tensor, nn

from octosr.errors import ConfigError, MissingMetricError, nearest
from octosr.metrics.iqa import import_arch

logger = logging.getLogger(__name__)

CROP = 224
"""Side in pixels of the network's input."""
FEATURE_BLOCKS = (6, 7, 8, 9)
"""The ViT blocks whose tokens are used, counted from 0."""


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

_building = threading.Lock()


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


def find_weights(variant: str, weights: str | Path | None, download: bool) -> Path:
    """The weight file: the path given, else pyiqa's cache, else (only if allowed) fetched into that cache.

    Raises:
        MissingMetricError: it is nowhere; the message says where was looked and how to get it.
        ConfigError: the file given is the published file of another variant.
    """
    known = variant_of(variant)
    cached = cache_folder() / known.file
    if weights is not None:
        path = Path(weights).expanduser()
        other = next((name for name, v in VARIANTS.items() if v.file == path.name and name != variant), None)
        if other is not None:
            raise ConfigError(
                f"{path} holds MANIQA's weights for variant '{other}', but metrics.maniqa.variant is '{variant}'. "
                f"Set metrics.maniqa.variant={other}."
            )
        if path.is_file():
            return path
        looked = [path]
    elif cached.is_file():
        return cached
    elif download:
        return _download(variant, cached)
    else:
        looked = [cached]
    raise MissingMetricError(
        f"MANIQA ({variant}) needs its weights, the file {known.file} (about 540 MB), which was not found. Looked at: "
        f"{', '.join(str(p.absolute()) for p in looked)}. Three ways to get it: metrics.maniqa.weights=PATH names a "
        f"local copy; or put the file at {cached}; or metrics.download=true fetches it from pyiqa's collection "
        f"({_url(variant)}). To go on without it: metrics.on_missing=skip."
    )


def _url(variant: str) -> str:
    """The address pyiqa would download from, known without importing pyiqa so that the message comes at once."""
    return f"https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main/{VARIANTS[variant].file}"


def _download(variant: str, target: Path) -> Path:
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
                    "and name it with metrics.maniqa.weights=PATH, or go on without it: metrics.on_missing=skip."
                ) from error
    return target


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def empty_network(scale: float) -> nn.Module:
    """pyiqa's MANIQA without weights.

    Its constructor always asks timm for the ImageNet weights of the backbone, which a MANIQA file then overwrites
    wholly. For the time of the construction pyiqa's module (and nothing else) sees a timm that does not fetch them.
    The random numbers of the run are left untouched.
    """
    arch: Any = import_arch("maniqa_arch", "maniqa")
    with _building:
        timm = arch.timm

        def create_model(name: str, pretrained: bool = False, **options: Any) -> nn.Module:
            model: nn.Module = timm.create_model(name, pretrained=False, **options)
            return model

        arch.timm = SimpleNamespace(create_model=create_model)
        try:
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                network: nn.Module = arch.MANIQA(scale=scale, pretrained=False)
        finally:
            arch.timm = timm
    return network


def load_network(variant: str, path: Path) -> nn.Module:
    """Build MANIQA with the weights of a file, frozen and in evaluation mode, on the CPU.

    Raises:
        MissingMetricError: the file cannot be read without running code from it, or does not fit the network.
    """
    network = empty_network(variant_of(variant).scale)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingMetricError(
            f"{path} cannot be read as MANIQA weights ({reason}). It may be cut short: fetch it again. "
            "Files that need code to be run are refused."
        ) from error
    for key in ("params", "state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise MissingMetricError(f"{path} is no MANIQA weight file: expected names of tensors, found something else.")
    state = {key.removeprefix("module."): value for key, value in content.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        lines = "; ".join(line.strip() for line in str(error).splitlines()[1:3])[:400]
        raise MissingMetricError(f"{path} does not fit MANIQA's network ({lines}).") from error
    return network.requires_grad_(False).eval()


def crop_scores(network: nn.Module, crops: Tensor) -> Tensor:
    """Score crops of exactly the network's input size, each by itself, as the official inference script does.

    pyiqa's own forward enlarges such crops to 225 pixels first; this runs its layers without that. The last two ViT
    blocks, whose output is not used, are left out.

    Args:
        network: what :func:`load_network` returns.
        crops: float32 RGB in [0, 1], (N, 3, 224, 224).

    Returns:
        float32, (N,): the patch scores averaged with the patch weights (eq. 6 of the MANIQA paper).
    """
    net: Any = network
    side = CROP // net.patch_size
    tokens = net.vit.forward_intermediates(
        (crops - 0.5) / 0.5,
        indices=list(FEATURE_BLOCKS),
        norm=False,
        stop_early=True,
        output_fmt="NLC",
        intermediates_only=True,
    )
    net.save_output.clear()  # pyiqa's hooks have collected every block's output
    x = torch.cat(tokens, dim=2).transpose(1, 2)  # (N, 4*768, 28*28)
    for blocks, conv, swin in (
        (net.tablock1, net.conv1, net.swintransformer1),
        (net.tablock2, net.conv2, net.swintransformer2),
    ):
        for block in blocks:
            x = block(x)
        x = swin(conv(x.unflatten(2, (side, side)))).flatten(2)
    x = x.transpose(1, 2)
    score, weight = net.fc_score(x).squeeze(2), net.fc_weight(x).squeeze(2)
    return (score * weight).sum(1) / weight.sum(1)
