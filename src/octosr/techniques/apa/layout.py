"""The tensors of the public implementation, name by name, and where they are in ours.

The names are those of NVlabs/stylegan2-ada-pytorch, which EndlessSora/DeceiveD (APA) keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from octosr.errors import WrongWeightsError
from octosr.techniques.apa.discriminator import Block, Discriminator
from octosr.techniques.apa.synthesis import Generator, StyledConv, ToColours

_CONSTANTS = ("resample_filter",)
"""Buffers of theirs that hold the low-pass filter."""


def generator_layout(generator: Generator) -> dict[str, Tensor]:
    """Public name -> our tensor, for all parameters and buffers of the generator."""
    layout: dict[str, Tensor] = {"mapping.w_avg": generator.mapping.w_average}
    for index, layer in enumerate(generator.mapping.layers):
        _add(layout, f"mapping.fc{index}", layer)
    synthesis = generator.synthesis
    layout["synthesis.b4.const"] = synthesis.constant
    for index, conv in enumerate(synthesis.convs):
        assert isinstance(conv, StyledConv)
        name = f"synthesis.b{conv.side}.conv{0 if conv.up else 1}"
        _add(layout, f"{name}.affine", conv.affine)
        layout[f"{name}.weight"], layout[f"{name}.bias"] = conv.weight, conv.bias
        layout[f"{name}.noise_const"], layout[f"{name}.noise_strength"] = conv.noise, conv.noise_strength
        if index % 2 == 0:
            colours = synthesis.colours[index // 2]
            assert isinstance(colours, ToColours)
            _add(layout, f"synthesis.b{conv.side}.torgb", colours)
            _add(layout, f"synthesis.b{conv.side}.torgb.affine", colours.affine)
    return layout


def discriminator_layout(discriminator: Discriminator) -> dict[str, Tensor]:
    """Public name -> our tensor, for all parameters of the discriminator."""
    layout: dict[str, Tensor] = {}
    for index, block in enumerate(discriminator.blocks):
        assert isinstance(block, Block)
        if index == 0:
            _add(layout, f"b{block.side}.fromrgb", discriminator.from_colours)
        for name in ("conv0", "conv1", "skip"):
            _add(layout, f"b{block.side}.{name}", getattr(block, name))
    for theirs, ours in (("conv", discriminator.conv), ("fc", discriminator.hidden), ("out", discriminator.out)):
        _add(layout, f"b4.{theirs}", ours)
    return layout


def _add(layout: dict[str, Tensor], name: str, layer: nn.Module) -> None:
    """Weight and bias of a layer."""
    layout |= {f"{name}.{part}": value for part, value in layer.named_parameters(recurse=False)}


@torch.no_grad()
def copy_public(
    layout: Mapping[str, Tensor], state: Mapping[str, Tensor], what: str, path: Path, copy: bool = True
) -> None:
    """Copy a public state dict into our tensors.

    Args:
        layout: from one of the functions above.
        state: public names and tensors.
        what: the network, for the message.
        path: the file, for the message.
        copy: False: only compare names and shapes.

    Raises:
        WrongWeightsError: names or shapes differ; the first few are listed, and nothing is copied.
    """
    found = {name: value for name, value in state.items() if name.rpartition(".")[2] not in _CONSTANTS}
    missing, unknown = sorted(layout.keys() - found.keys()), sorted(found.keys() - layout.keys())
    wrong = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(layout[name].shape)}"
        for name in sorted(layout.keys() & found.keys())
        if found[name].shape != layout[name].shape
    ]
    if missing or unknown or wrong:
        listed = [
            f"{label}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''} ({len(names)})"
            for label, names in (("missing", missing), ("unknown", unknown), ("of another shape", wrong))
            if names
        ]
        raise WrongWeightsError(
            f"The {what} in {path} is not of the size that is configured; tensors {'; '.join(listed)}. "
            "Set technique.resolution, technique.cfg, technique.width and technique.mapping_layers to what it was "
            "trained with."
        )
    if copy:
        for name, tensor in layout.items():
            tensor.copy_(found[name])


def to_public(layout: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of our tensors under the public names."""
    return {name: tensor.detach().clone() for name, tensor in layout.items()}
