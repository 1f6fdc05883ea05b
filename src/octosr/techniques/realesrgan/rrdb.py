"""From the layers of an ncnn graph to the state dict of an RRDBNet, with every layer checked on the way.

RRDBNet: the generator of ESRGAN (Wang et al., ECCVW 2018, arXiv:1809.00219, section 3.1) as Real-ESRGAN uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from octosr.errors import WrongWeightsError
from octosr.techniques.realesrgan.ncnn import Convolution, Layer, read_convolutions, read_graph

SCALE = 4
_PER_BLOCK, _AROUND = 15, 6
"""Convolutions of a block (three dense blocks of five), and those before and after the blocks."""


def read_rrdbnet(graph: Path, numbers: Path) -> dict[str, Tensor]:
    """Read a x4 RRDBNet from ``.param`` and ``.bin``.

    Returns:
        Its state dict in the names of Real-ESRGAN's own files (``conv_first.weight``, ``body.0.rdb1.conv1.weight``,
        ...), float32.

    Raises:
        WrongWeightsError: a file is damaged, or the network is another one.
    """
    layers = read_graph(graph)
    count = sum(layer.kind == "Convolution" for layer in layers)
    blocks, rest = divmod(count - _AROUND, _PER_BLOCK)
    if blocks < 1 or rest:
        raise WrongWeightsError(f"{graph} has {count} convolutions; an RRDBNet has {_AROUND} + {_PER_BLOCK} a block.")
    _check_layers(layers, blocks, graph)
    convolutions = read_convolutions(layers, numbers)
    _check_widths(convolutions, blocks, graph)
    state: dict[str, Tensor] = {}
    for name, convolution in zip(names(blocks), convolutions, strict=True):
        state[f"{name}.weight"], state[f"{name}.bias"] = convolution.weight, convolution.bias
    return state


def names(blocks: int) -> list[str]:
    """The convolutions of an RRDBNet with this many blocks, in the order in which they run."""
    dense = [
        f"body.{block}.rdb{part}.conv{layer}" for block in range(blocks) for part in (1, 2, 3) for layer in range(1, 6)
    ]
    return ["conv_first", *dense, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]


def _kinds(blocks: int) -> Iterator[str]:
    """The layers of an RRDBNet, one word each; ncnn's ``Split``, which only copies, left out."""
    yield from ("Input", "conv")
    for _ in range(blocks):
        for _ in range(3):
            yield from ("conv+leaky", "Concat") * 4
            yield from ("conv", "residual")
        yield "residual"
    yield from ("conv", "sum", "double", "conv+leaky", "double", "conv+leaky", "conv+leaky", "conv")


def _kind(layer: Layer) -> str:
    """The word for a layer; one with other parameters than an RRDBNet's gets its name in addition."""
    numbers = layer.values
    if layer.kind == "Convolution":
        plain = {id: layer.number(id) for id in numbers if id not in (0, 6, 9, 10)}
        activation = layer.number(9), numbers.get(10)
        if plain == {1: 3, 4: 1, 5: 1} and activation in ((0, None), (2, (0.2,))):
            return "conv" if activation[1] is None else "conv+leaky"
    elif layer.kind == "Eltwise" and numbers == {0: (1,), 1: (0.2, 1)}:
        return "residual"
    elif layer.kind == "BinaryOp" and not any(layer.number(id) for id in numbers):
        return "sum"
    elif layer.kind == "Interp" and numbers == {0: (1,), 1: (2,), 2: (2,)}:
        return "double"  # nearest neighbour
    elif layer.kind in ("Input", "Concat") and not numbers:
        return layer.kind
    return f"{layer.kind} {layer.name}"


def _check_layers(layers: Sequence[Layer], blocks: int, path: Path) -> None:
    found = [_kind(layer) for layer in layers if layer.kind != "Split"]
    expected = list(_kinds(blocks))
    if len(found) != len(expected):
        raise WrongWeightsError(f"{path} has {len(found)} layers, an RRDBNet of {blocks} blocks {len(expected)}.")
    for position, (mine, its) in enumerate(zip(expected, found, strict=True)):
        if mine != its:
            raise WrongWeightsError(f"{path} is not an RRDBNet: layer {position} is {its}, expected {mine}.")


def _check_widths(convolutions: Sequence[Convolution], blocks: int, path: Path) -> None:
    """The channels of every convolution follow from the first two: features, and growth of the dense blocks."""
    features, growth = (len(convolution.bias) for convolution in convolutions[:2])
    dense = [(features + i * growth, growth) for i in range(4)] + [(features + 4 * growth, features)]
    expected = [(3, features), *(dense * 3 * blocks), *[(features, features)] * 4, (features, 3)]
    for convolution, (inputs, outputs) in zip(convolutions, expected, strict=True):
        if tuple(convolution.weight.shape[:2]) != (outputs, inputs):
            raise WrongWeightsError(
                f"{path}: {convolution.layer.name} maps {convolution.weight.shape[1]} channels to "
                f"{convolution.weight.shape[0]}, expected {inputs} to {outputs}."
            )
