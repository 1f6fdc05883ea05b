"""Reads networks of convolutions in ncnn's two files: ``.param``, the graph as text, and ``.bin``, the numbers.

The format is public (the wiki of github.com/Tencent/ncnn, "param and model file structure"). A ``.param`` begins with a
magic number and the counts of layers and blobs; each further line is one layer: type, name, the counts of its inputs
and outputs, their names, and parameters ``id=value``. The ``.bin`` holds, in the order of the layers and with nothing
between them, what each needs: for a convolution four bytes that say how its weights are stored, the weights, and the
bias in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from octosr.errors import WrongWeightsError

MAGIC = "7767517"
_FLOAT32, _FLOAT16 = 0x00000000, 0x01306B47
_ARRAY = -23300
"""Ids at or below this hold an array: ``id=count,value,value,...`` with the id counted down from here."""


@dataclass(frozen=True)
class Layer:
    """A line of a ``.param`` file.

    Attributes:
        kind: e.g. ``Convolution``.
        name: of the layer.
        inputs: names of the blobs it reads.
        outputs: names of the blobs it makes.
        values: its parameters by id; an array counts as the id it belongs to.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: dict[int, tuple[float, ...]]

    def number(self, id: int, default: float = 0) -> float:
        """A parameter that is one number."""
        return self.values.get(id, (default,))[0]


@dataclass(frozen=True)
class Convolution:
    """Weight (out, in, k, k) and bias (out,) of a layer, float32."""

    layer: Layer
    weight: Tensor
    bias: Tensor


def read_graph(path: Path) -> list[Layer]:
    """Read a ``.param`` file.

    Raises:
        WrongWeightsError: not such a file, or its counts do not agree with its lines.
    """
    try:
        lines = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise WrongWeightsError(f"{path} cannot be read as the graph of an ncnn network ({error}).") from error
    if len(lines) < 2 or lines[0] != [MAGIC]:
        found = " ".join(lines[0])[:40] if lines else "nothing"
        raise WrongWeightsError(f"{path} is not the graph of an ncnn network: expected {MAGIC} first, found {found}.")
    try:
        layer_count, blob_count = (int(count) for count in lines[1])
        layers = [_layer(words) for words in lines[2:]]
    except (ValueError, IndexError) as error:
        raise WrongWeightsError(f"{path} is damaged: a line of it is not a layer ({error}).") from error
    blobs = sum(len(layer.outputs) for layer in layers)
    if (len(layers), blobs) != (layer_count, blob_count):
        raise WrongWeightsError(
            f"{path} is damaged: it announces {layer_count} layers and {blob_count} blobs, but has {len(layers)} and "
            f"{blobs}."
        )
    return layers


def _layer(words: list[str]) -> Layer:
    inputs, outputs = int(words[2]), int(words[3])
    names = words[4 : 4 + inputs + outputs]
    if inputs < 0 or outputs < 0 or len(names) != inputs + outputs:
        raise ValueError(f"{words[1]} announces {inputs} inputs and {outputs} outputs")
    values: dict[int, tuple[float, ...]] = {}
    for word in words[4 + inputs + outputs :]:
        key, _, text = word.partition("=")
        numbers = tuple(float(number) for number in text.split(","))
        id = int(key)
        if id <= _ARRAY:
            id, count, numbers = _ARRAY - id, int(numbers[0]), numbers[1:]
            if count != len(numbers):
                raise ValueError(f"{words[1]} has an array of {len(numbers)} values that announces {count}")
        values[id] = numbers
    return Layer(words[0], words[1], tuple(names[:inputs]), tuple(names[inputs:]), values)


def read_convolutions(layers: list[Layer], path: Path) -> list[Convolution]:
    """Read the numbers of all convolutions of a graph from its ``.bin`` file, to its last byte.

    Raises:
        WrongWeightsError: the file is shorter or longer than the graph says, or stores weights in another way than as
            float16 or float32.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrongWeightsError(f"{path} cannot be read ({error.strerror or error}).") from error
    position, found = 0, []

    def take(count: int, dtype: str, layer: Layer) -> Tensor:
        nonlocal position
        size = count * np.dtype(dtype).itemsize
        if position + size > len(content):
            raise WrongWeightsError(
                f"{path} is cut off: {layer.name} needs bytes {position} to {position + size} of {len(content)}."
            )
        array = np.frombuffer(content, dtype, count, position)
        position += -(-size // 4) * 4  # blobs begin at multiples of four bytes
        return torch.from_numpy(array.astype("<f4" if "f" in dtype else "<i8"))

    for layer in layers:
        if layer.kind == "Convolution":
            out, kernel, count = (int(layer.number(id)) for id in (0, 1, 6))
            if min(out, kernel, count) < 1 or count % (out * kernel**2):
                raise WrongWeightsError(f"{layer.name} has {count} weights for {out} filters of side {kernel}.")
            tag = int(take(1, "<u4", layer))
            if tag not in (_FLOAT16, _FLOAT32):
                raise WrongWeightsError(
                    f"{path}: {layer.name} is stored as {tag:#010x}, which is neither float16 nor 32."
                )
            weight = take(count, "<f2" if tag == _FLOAT16 else "<f4", layer).view(out, -1, kernel, kernel)
            found.append(Convolution(layer, weight, take(out, "<f4", layer)))
    if position != len(content):
        raise WrongWeightsError(f"{path} has {len(content)} bytes, but its graph needs {position}.")
    return found
