"""A pyiqa metric as a frozen network: built offline, seeded, with a fingerprint of all that it holds."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import logging
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from octosr.errors import ConfigError, MissingMetricError
from octosr.metrics.offline import describe, quiet, swapped, watched_loading
from octosr.pyiqa_table import PyiqaEntry

CACHE = "$TORCH_HOME/hub/pyiqa, by default ~/.cache/torch/hub/pyiqa"
LOADING_ERRORS = (OSError, RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError)
"""What pyiqa raises over a file that is missing, cut short or not what it expects."""


def build_network(entry: PyiqaEntry, arch: ModuleType, weights: Path | None, download: bool, seed: int) -> nn.Module:
    """Build a metric of pyiqa with its weights, in evaluation mode, without gradients, on the CPU.

    The random numbers of the run are left untouched.

    Args:
        entry: the metric.
        arch: the module of its network, imported.
        weights: its weight file; None for where pyiqa looks.
        download: whether missing files may be fetched.
        seed: for networks that draw what no file gives.

    Raises:
        MissingMetricError: a weight file is missing or cannot be read; the message says which and what to do.
        ConfigError: this metric takes no weight file.
    """
    options: dict[str, Any] = {}
    if weights is not None:
        if not weights.is_file():
            raise MissingMetricError(f"metrics.{entry.name}.weights: there is no file {weights.absolute()}.")
        if "pretrained_model_path" not in inspect.signature(getattr(arch, entry.network)).parameters:
            raise ConfigError(
                f"The metric '{entry.name}' takes no weight file: leave metrics.{entry.name}.weights out."
            )
        options["pretrained_model_path"] = str(weights)
    try:
        with fixed_random(seed, torch.device("cpu")), torch.device("cpu"):
            # the second attempt is for networks that keep the ImageNet weights of their backbone
            network = _build(entry.name, options, download, spare_backbones=True) or _build(
                entry.name, options, download, spare_backbones=False
            )
    except ImportError as error:
        raise MissingMetricError(
            f"The metric '{entry.name}' cannot be built by pyiqa here: {error}. All that pyiqa needs comes with: "
            "pip install 'octosr[iqa]' -c constraints.txt"
        ) from error
    except LOADING_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        raise MissingMetricError(
            f"The metric '{entry.name}' could not be built by pyiqa ({type(error).__name__}: {reason}). A weight file "
            f"({weights or CACHE}) may be cut short or of another network; files that need code to be run are refused."
        ) from error
    assert network is not None
    return network.requires_grad_(False).eval()


def _build(name: str, options: dict[str, Any], download: bool, *, spare_backbones: bool) -> nn.Module | None:
    """One attempt to build.

    Most of pyiqa's networks ask timm for ImageNet weights which their own file then overwrites. Spared, these are not
    fetched: the backbone starts from nothing, and the result is None if a tensor of it was not written since.
    """
    inference = importlib.import_module("pyiqa.models.inference_model").InferenceModel
    logging.getLogger("pyiqa").setLevel(logging.WARNING)
    untrained: list[tuple[Tensor, int]] = []
    with watched_loading(download) as refusals, nullcontext() if download else quiet():
        try:
            with _backbones_from_nothing(untrained) if spare_backbones else nullcontext():
                network: nn.Module = inference(name, device=torch.device("cpu"), **options).net
        except LOADING_ERRORS as error:
            if refusals or "OfflineMode" in type(error).__name__ or "LocalEntryNotFound" in type(error).__name__:
                raise _missing(name, describe(refusals) or f"a file of the Hugging Face hub ({error})") from error
            raise
    if refusals:  # an error swallowed on the way: the network would be a random one
        raise _missing(name, describe(refusals))
    used = {id(tensor) for tensor in network.state_dict(keep_vars=True).values()}
    return None if any(id(t) in used and t._version == version for t, version in untrained) else network


def _missing(name: str, what: str) -> MissingMetricError:
    return MissingMetricError(
        f"The metric '{name}' needs {what}, which is not on this machine. Put the file there (pyiqa looks for its own "
        f"files in {CACHE}), or name a local copy of the metric's own file with metrics.{name}.weights=PATH, or let it "
        "be fetched with metrics.download=true. To go on without it: metrics.on_missing=skip."
    )


@contextmanager
def _backbones_from_nothing(untrained: list[tuple[Tensor, int]]) -> Iterator[None]:
    """timm builds without pretrained weights; the tensors that should have had some are noted with their version."""
    try:
        timm: Any = importlib.import_module("timm")
    except ImportError:  # a metric that needs it says so itself
        yield
        return
    create = timm.create_model

    def create_model(name: str, pretrained: bool = False, **options: Any) -> nn.Module:
        model: nn.Module = create(name, pretrained=False, **options)
        if pretrained:
            untrained.extend((tensor, tensor._version) for tensor in model.state_dict(keep_vars=True).values())
        return model

    with swapped(timm, "create_model", create_model):
        yield


def score_one(name: str, network: nn.Module, image: Tensor, reference: Tensor | None, seed: int) -> Tensor:
    """Score one image (1, 3, H, W), (1,); crops that a metric draws at random are the same every time.

    This is the network inside pyiqa's wrapper, which changes cuDNN's settings in a way that torch refuses to mix with
    the exact arithmetic that metrics run under.

    Raises:
        MissingMetricError: it looks for a file only now, or gives something else than a number.
    """
    with fixed_random(seed, image.device), watched_loading(allow_downloads=False) as refusals:
        try:
            output = network(image) if reference is None else network(image, reference)
        except OSError as error:
            if refusals:
                raise _missing(name, describe(refusals)) from error
            raise
    if not isinstance(output, Tensor) or output.numel() != 1:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise MissingMetricError(f"pyiqa's metric '{name}' gave {found} for an image where one number was expected.")
    return output.detach().reshape(1)


@contextmanager
def fixed_random(seed: int, device: torch.device) -> Iterator[None]:
    """Seed Python's, numpy's and torch's random numbers for a while; afterwards they go on as if nothing had been."""
    before_python, before_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (what pyiqa draws from)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(before_python)
            np.random.set_state(before_numpy)  # noqa: NPY002


def fingerprint(network: nn.Module) -> str:
    """sha256 of everything a network computes with: parameters, buffers, tensors held otherwise, files it reads later.

    Independent of which file the values came from, so that a renamed or converted file is no other metric.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        _add(digest, name, tensor)
    for name, module in sorted(network.named_modules()):
        for attribute, value in sorted(vars(module).items()):
            for held in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(held, nn.Module) and isinstance(value, (list, tuple)):
                    digest.update(fingerprint(held).encode())
                elif isinstance(held, (Tensor, np.ndarray)):
                    _add(digest, f"{name}.{attribute}", torch.as_tensor(held))
                elif isinstance(held, str) and len(held) < 4096 and Path(held).is_file():
                    digest.update(hashlib.sha256(Path(held).read_bytes()).digest())
    return digest.hexdigest()


def _add(digest: Any, name: str, tensor: Tensor) -> None:
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
