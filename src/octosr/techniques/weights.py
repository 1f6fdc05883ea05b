"""Reading weight files without ever running code from them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from octosr.errors import WrongWeightsError
from octosr.techniques.pickles import read_network_pickle


def read_weight_file(path: Path) -> dict[str, Any]:
    """Read a ``.safetensors`` file or anything ``torch.save`` wrote, on the CPU, tensors and plain values only.

    A ``.pkl`` that is no file of torch's is read by :func:`octosr.techniques.pickles.read_network_pickle`.

    Raises:
        WrongWeightsError: not a weight file, damaged, or holding objects that would need code to be run.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if path.suffix == ".pkl" and not _of_torch(path):
            return read_network_pickle(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WrongWeightsError(
            f"{path} cannot be read as weights ({reason}). "
            "Expected a .safetensors file or a torch file of tensors and plain values; "
            "files that need code to be run are refused."
        ) from error
    if not isinstance(content, Mapping):
        raise WrongWeightsError(f"{path} holds a {type(content).__name__}, expected a mapping of names to tensors.")
    return dict(content)


_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")


def _of_torch(path: Path) -> bool:
    """Whether ``torch.save`` wrote the file: an archive, or, before version 1.6, a magic number first."""
    with path.open("rb") as stream:
        head = stream.read(32)
    return head.startswith(b"PK") or _LEGACY_MAGIC in head


def strip_prefixes(
    state: Mapping[str, Tensor], prefixes: Sequence[str] = ("module.", "_orig_mod.")
) -> dict[str, Tensor]:
    """Remove the prefixes that DataParallel and torch.compile leave in names, wherever they stand."""
    clean: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key
        for prefix in prefixes:
            while name.startswith(prefix):
                name = name[len(prefix) :]
            name = name.replace(f".{prefix}", ".") if prefix == "_orig_mod." else name
        clean[name] = value
    return clean


def published_parts(
    contents: Mapping[Path, Mapping[str, Any]], part_of: Callable[[Mapping[str, Any]], str | None], name: str
) -> dict[Path, str]:
    """Which part of a technique each file of a published release holds.

    Args:
        contents: of the files.
        part_of: which part a content is; None: not of the release.
        name: the technique's, for the message.

    Returns:
        The parts, or nothing if no file is of the release.

    Raises:
        WrongWeightsError: some files are, others are not.
    """
    parts = {path: part_of(content) for path, content in contents.items()}
    found = {path: part for path, part in parts.items() if part is not None}
    strangers = [str(path) for path in parts if path not in found]
    if found and strangers:
        raise WrongWeightsError(f"Published {name} weights cannot be mixed with other files: {', '.join(strangers)}.")
    return found


def load_checkpoint_weights(
    module: nn.Module, paths: Sequence[Path], complete: Callable[[dict[str, Any]], None] | None = None
) -> str:
    """Load one of our own checkpoints (or a bare state dict in our names) into a technique, strictly.

    Args:
        module: the technique.
        paths: one file.
        complete: adds to the state dict what older versions did not have.

    Raises:
        WrongWeightsError: several files, or names or shapes that do not fit; the first few are quoted.
    """
    if len(paths) != 1:
        raise WrongWeightsError(
            f"One weight file was expected, but {len(paths)} were given: {[str(p) for p in paths]}."
        )
    content = read_weight_file(paths[0])
    state = strip_prefixes(content.get("state_dict", content))
    if complete is not None:
        complete(state)
    load_into(module, state, paths[0])
    if "images_shown" in state:  # a generative technique: steps of two optimisers mean nothing to a reader
        return f"weights {paths[0]} (trained for {int(state['images_shown']) / 1000:g} kimg)"
    step = content.get("global_step")
    return f"weights {paths[0]}" + (f" (trained for {step} steps)" if step is not None else "")


def load_into(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load a state dict, every name and shape compared.

    Raises:
        WrongWeightsError: names or shapes that do not fit; the first few are quoted.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - state.keys())
    unknown = sorted(state.keys() - own.keys())
    wrong = [
        f"{k} {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own.keys() & state.keys()
        if state[k].shape != own[k].shape
    ]
    if missing or unknown or wrong:
        parts = [
            f"{label}: {', '.join(items[:3])}{' ...' if len(items) > 3 else ''} ({len(items)})"
            for label, items in (("missing", missing), ("unknown", unknown), ("of another shape", sorted(wrong)))
            if items
        ]
        raise WrongWeightsError(f"{path} does not fit {type(module).__name__}; tensors {'; '.join(parts)}.")
    module.load_state_dict(state)
