"""FastGAN's published checkpoints, by the names of the public code: read without running anything in them.

``N.pth`` holds the averaged generator ``g`` and the discriminator ``d``; ``all_N.pth`` the generator as trained, the
discriminator, the averaged parameters as a list ``g_ema``, and the optimisers, which are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from octosr.errors import WrongWeightsError
from octosr.techniques.fastgan.discriminator import Decoder, Discriminator
from octosr.techniques.fastgan.generator import Generator
from octosr.techniques.fastgan.layers import Down, Excitation, Noise, SpectralConv, TwoWayDown, UpBlock
from octosr.techniques.weights import strip_prefixes

Layout = list[tuple[str, Tensor]]
_DOWN_NAMES = (4, 8, 16, 32, 64)


def is_official(content: Mapping[str, Any]) -> bool:
    """Whether a weight file's content is such a checkpoint."""
    return all(isinstance(content.get(name), Mapping) for name in ("g", "d"))


def generator_layout(network: Generator) -> Layout:
    """Our tensors by their published names, in the order in which the public code lists its parameters."""
    late = [side for side in network.sides if side > 256]
    early = [side for side in network.sides if side <= 256]
    parts: list[tuple[str, nn.Module]] = [("init.init.0", network.start), ("init.init.1", network.start_norm)]
    parts += [(f"feat_{side}", network.up[str(side)]) for side in early]
    parts += [(f"se_{side}", network.gates[str(side)]) for side in early if str(side) in network.gates]
    parts += [("to_128", network.to_small), ("to_big", network.to_big)]
    for side in late:
        parts.append((f"feat_{side}", network.up[str(side)]))
        if str(side) in network.gates:
            parts.append((f"se_{side}", network.gates[str(side)]))
    return [pair for name, module in parts for pair in _tensors(name, module)]


def discriminator_layout(network: Discriminator) -> Layout:
    """Our tensors by their published names."""
    parts: list[tuple[str, nn.Module]] = [("down_from_big.0", network.entry[0])]
    for down in list(network.entry)[1:]:
        assert isinstance(down, Down)
        parts += [("down_from_big.2", down.conv), ("down_from_big.3", down.norm)]
    parts += [(f"down_{name}", block) for name, block in zip(_DOWN_NAMES, network.down, strict=True)]
    parts += [("rf_big.0", network.score), ("rf_big.1", network.score_norm), ("rf_big.3", network.score_out)]
    parts += [(f"se_{2 ** (int(n) - 1)}_{2 ** (int(n) + 2)}", gate) for n, gate in network.gates.items()]
    parts += [("down_from_small.0", network.small_entry), ("rf_small", network.small_out)]
    parts += [(f"down_from_small.{number + 2}.main", down) for number, down in enumerate(network.small_down)]
    parts += [(f"decoder_{name}", getattr(network, f"decoder_{name}")) for name in ("big", "part", "small")]
    return [pair for name, module in parts for pair in _tensors(name, module)]


def _tensors(name: str, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A module's tensors by published names: of a layer directly, of a block by its layers."""
    if isinstance(module, SpectralConv):
        yield from (
            (f"{name}.weight_orig", module.weight),
            (f"{name}.weight_u", module.u),
            (f"{name}.weight_v", module.v),
        )
    elif isinstance(module, nn.BatchNorm2d):
        yield from ((f"{name}.{key}", value) for key, value in module.state_dict(keep_vars=True).items())
    elif isinstance(module, Noise):
        yield f"{name}.weight", module.strength
    else:
        for number, layer in _layers(module):
            yield from _tensors(f"{name}.{number}", layer)


def _layers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers of a block by their published numbers."""
    if isinstance(module, UpBlock) and module.noisy:
        return [("1", module.conv), ("2", module.noise), ("3", module.norm),
                ("5", module.conv2), ("6", module.noise2), ("7", module.norm2)]  # fmt: skip
    if isinstance(module, UpBlock):
        return [("1", module.conv), ("2", module.norm)]
    if isinstance(module, Excitation):
        return [("main.1", module.conv), ("main.3", module.conv2)]
    if isinstance(module, Down):
        return [("0", module.conv), ("1", module.norm)]
    if isinstance(module, TwoWayDown):
        return [("main.0", module.down.conv), ("main.1", module.down.norm), ("main.3", module.conv),
                ("main.4", module.norm), ("direct.1", module.direct), ("direct.2", module.direct_norm)]  # fmt: skip
    if isinstance(module, Decoder):
        numbered = [(f"main.{number + 1}", block) for number, block in enumerate(module.up)]
        return [*numbered, (f"main.{len(numbered) + 1}", module.out)]
    raise TypeError(f"{type(module).__name__} has no published names")


@torch.no_grad()
def copy_published(layout: Layout, state: Mapping[str, Tensor], what: str, path: Path, *, copy: bool = True) -> None:
    """Copy published tensors into ours; all names and shapes have to fit, and no tensor may be left over.

    Raises:
        WrongWeightsError: they do not.
    """
    state = strip_prefixes(state)
    problems = [
        f"{name}: {tuple(tensor.shape)} expected, {tuple(state[name].shape) if name in state else 'nothing'} found"
        for name, tensor in layout
        if name not in state or state[name].shape != tensor.shape
    ]
    problems += [f"{name}: not expected" for name in sorted(state.keys() - dict(layout).keys())]
    if problems:
        raise WrongWeightsError(
            f"{path} does not fit FastGAN's {what} (is technique.resolution the file's, 256, 512 or 1024?): "
            f"{'; '.join(problems[:3])}{' ...' if len(problems) > 3 else ''} ({len(problems)})."
        )
    if copy:
        for name, tensor in layout:
            tensor.copy_(state[name])


def load_official(
    content: Mapping[str, Any], path: Path, generator: Generator, average: Generator, discriminator: Discriminator
) -> None:
    """Load a published checkpoint into three networks.

    Args:
        content: of the file, from :func:`~octosr.techniques.weights.read_weight_file`.
        path: the file, for messages.
        generator: takes ``g``.
        average: takes ``g_ema`` with the buffers of ``g``; where there is none, ``g``, which is the average then.
        discriminator: takes ``d``.

    Raises:
        WrongWeightsError: the file is for another resolution, or damaged; nothing is loaded then.
    """
    if generator.resolution < 256:
        raise WrongWeightsError(
            f"{path} holds published weights, which are for 256, 512 or 1024 pixels, but technique.resolution is "
            f"{generator.resolution}."
        )
    layout = generator_layout(average)
    state = strip_prefixes(content["g"])
    if isinstance(content.get("g_ema"), Sequence):
        names = [name for name, tensor in layout if isinstance(tensor, nn.Parameter)]
        averaged = list(content["g_ema"])
        if len(names) != len(averaged):
            raise WrongWeightsError(f"{path}: g_ema holds {len(averaged)} parameters, {len(names)} were expected.")
        averages = state | dict(zip(names, averaged, strict=True))
    else:
        averages = state
    for copy in (False, True):  # first all are checked, then all are copied
        copy_published(generator_layout(generator), state, "generator", path, copy=copy)
        copy_published(layout, averages, "averaged generator", path, copy=copy)
        copy_published(discriminator_layout(discriminator), content["d"], "discriminator", path, copy=copy)
