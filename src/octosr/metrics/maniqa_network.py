"""MANIQA's network: pyiqa's layers, built without downloads, and our way through them."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from octosr.errors import MissingMetricError
from octosr.hashing import cached_sha256
from octosr.metrics.functional.maniqa import CROP
from octosr.metrics.iqa import import_arch
from octosr.metrics.maniqa_weights import read_weights, variant_of

FEATURE_BLOCKS = (6, 7, 8, 9)
"""The ViT blocks whose tokens are used, counted from 0; the two after them are not run."""
ATTENTION_ROWS = 1024
"""Rows of the 3072x3072 channel attention computed at once: a third of its memory, and no slower."""

_building = threading.Lock()
_sharing = threading.Lock()
_shared: WeakValueDictionary[tuple[str, float, torch.device], nn.Module] = WeakValueDictionary()


def empty_network(scale: float) -> nn.Module:
    """pyiqa's MANIQA without weights and without hooks; its layers are to be used, not its ``forward``.

    Its constructor always asks timm for the ImageNet weights of the backbone, which a MANIQA file then overwrites
    wholly, and has every block of the backbone store its output in a list that all threads share. For the time of the
    construction pyiqa's module (and nothing else) sees a timm that does not fetch, and no blocks to hook.
    The random numbers of the run are left untouched.
    """
    arch: Any = import_arch("maniqa_arch", "maniqa")
    with _building:
        timm, block = arch.timm, arch.Block

        def create_model(name: str, pretrained: bool = False, **options: Any) -> nn.Module:
            model: nn.Module = timm.create_model(name, pretrained=False, **options)
            return model

        arch.timm, arch.Block = SimpleNamespace(create_model=create_model), ()  # isinstance(x, ()) is never true
        try:
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                network: nn.Module = arch.MANIQA(scale=scale, pretrained=False)
        finally:
            arch.timm, arch.Block = timm, block
    return network


def load_network(variant: str, path: Path) -> nn.Module:
    """Build MANIQA with the weights of a file, frozen and in evaluation mode, on the CPU.

    What no score depends on is dropped after loading (the last two blocks, norm and head of the backbone, and a
    convolution of each Swin stage that is never called): 21.5 of 135.7 million parameters.

    Raises:
        MissingMetricError: the file cannot be read without running code from it, or does not fit the network.
    """
    state = read_weights(path)
    network: Any = empty_network(variant_of(variant).scale)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        lines = "; ".join(line.strip() for line in str(error).splitlines()[1:3])[:400]
        raise MissingMetricError(f"{path} does not fit MANIQA's network ({lines}).") from error
    network.vit.prune_intermediate_layers(list(FEATURE_BLOCKS), prune_norm=True, prune_head=True)
    del network.swintransformer1.downsample, network.swintransformer2.downsample
    frozen: nn.Module = network.requires_grad_(False).eval()
    return frozen


def shared_network(
    variant: str, path: Path, sha256: str, device: torch.device, elsewhere: nn.Module | None = None
) -> nn.Module:
    """The network on a device; metrics that differ in protocol only use the same one, as long as one of them lives.

    Args:
        variant: see :data:`~octosr.metrics.maniqa_weights.VARIANTS`.
        path: the weight file.
        sha256: what it must hash to.
        device: where the network is to be.
        elsewhere: the same network on another device, copied instead of read again.

    Raises:
        MissingMetricError: the file was removed or changed, or :func:`load_network` refuses it.
    """
    key = (sha256, variant_of(variant).scale, device)
    with _sharing:
        network = _shared.get(key)
        if network is None and elsewhere is not None:
            network = _shared[key] = copy.deepcopy(elsewhere).to(device)  # others may still use it where it is
        elif network is None:
            if not path.is_file() or cached_sha256(path) != sha256:
                raise MissingMetricError(
                    f"MANIQA's weights {path} were removed or changed since the metric was set up "
                    f"(sha256 was {sha256})."
                )
            network = _shared[key] = load_network(variant, path).to(device)
    return network


def crop_sums(network: nn.Module, crops: Tensor, precision: str = "fp32") -> Tensor:
    """What the network says about crops of exactly its input size, each by itself.

    Args:
        network: what :func:`load_network` returns.
        crops: float32 RGB, (N, 3, 224, 224), brought from [0, 1] to [-1, 1].
        precision: ``fp32``, or ``bf16`` for autocast to bfloat16.

    Returns:
        float64, (N, 2): over the 784 patches, the sum of weight times score, and the sum of weights.
    """
    net: Any = network
    side = CROP // net.patch_size
    with torch.autocast(crops.device.type, torch.bfloat16, enabled=precision == "bf16"):
        tokens = net.vit.forward_intermediates(
            crops,
            indices=list(FEATURE_BLOCKS),
            norm=False,
            stop_early=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        x = torch.cat(tokens, dim=2).transpose(1, 2)  # (N, 4*768, 28*28)
        for blocks, conv, swin in (
            (net.tablock1, net.conv1, net.swintransformer1),
            (net.tablock2, net.conv2, net.swintransformer2),
        ):
            for block in blocks:
                x = channel_attention(block, x)
            x = swin(conv(x.unflatten(2, (side, side)))).flatten(2)
        x = x.transpose(1, 2)
        score, weight = net.fc_score(x).squeeze(2).double(), net.fc_weight(x).squeeze(2).double()
    return torch.stack([(score * weight).sum(1), weight.sum(1)], dim=1)


def channel_attention(block: nn.Module, x: Tensor) -> Tensor:
    """A transposed attention block (TAB): each channel attends to all channels, over the patches.

    The published weights belong to a slip of the official code, kept here: the result, (N, C, L), is transposed to
    (N, L, C) and then read as (N, C, L) in the order of memory, which mixes channels and patches.

    Args:
        block: pyiqa's ``TABlock``.
        x: (N, C, L), C channels of L patches.

    Returns:
        (N, C, L).
    """
    tab: Any = block
    q, k, v = tab.c_q(x), tab.c_k(x).transpose(1, 2), tab.c_v(x)
    rows = [torch.softmax(part @ k * tab.norm_fact, dim=-1) @ v for part in q.split(ATTENTION_ROWS, dim=1)]
    return torch.cat(rows, dim=1).transpose(1, 2).reshape(x.shape) + x
