"""Writes an RRDBNet in ncnn's two files, and runs such files layer by layer: for the tests of the reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.techniques.realesrgan.ncnn import Layer, read_convolutions, read_graph


class Writer:
    """Collects layers; a blob that is read several times is split, as ncnn's converter does it."""

    def __init__(self, half: bool) -> None:
        self.half, self.numbers = half, b""
        self.layers: list[tuple[str, list[str], list[str], str]] = [("Input", [], ["data"], "")]

    def add(self, kind: str, inputs: list[str], values: str = "") -> str:
        output = f"b{len(self.layers)}"
        self.layers.append((kind, inputs, [output], values))
        return output

    def conv(self, blob: str, state: dict[str, Tensor], name: str, leaky: bool) -> str:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        out, count = weight.shape[0], weight.numel()
        stored = weight.numpy().astype("<f2" if self.half else "<f4").tobytes()
        tag = np.uint32(0x01306B47 if self.half else 0).tobytes()
        self.numbers += tag + stored + b"\0" * (-len(stored) % 4) + bias.numpy().astype("<f4").tobytes()
        activation = " 9=2 -23310=1,2.000000e-01" if leaky else ""
        return self.add("Convolution", [blob], f"0={out} 1=3 4=1 5=1 6={count}{activation}")

    def text(self) -> str:
        lines: list[str] = []
        outputs = 0
        pending = {}
        for kind, inputs, made, values in self.layers:
            names = [f"{blob}_{pending[blob].pop()}" if blob in pending else blob for blob in inputs]
            lines.append(
                " ".join([kind, f"{kind}_{len(lines)}", str(len(names)), str(len(made)), *names, *made, values])
            )
            outputs += len(made)
            uses = sum(other.count(made[0]) for _, other, _, _ in self.layers)
            if uses > 1:
                copies = [f"{made[0]}_{i}" for i in range(uses)]
                lines.append(" ".join(["Split", f"s{len(lines)}", "1", str(uses), made[0], *copies]))
                pending[made[0]] = list(range(uses))
                outputs += uses
        return "\n".join(["7767517", f"{len(lines)} {outputs}", *lines]) + "\n"


def write(folder: Path, state: dict[str, Tensor], blocks: int, half: bool = True) -> tuple[Path, Path]:
    """Write a state dict in Real-ESRGAN's names; returns the graph and the numbers."""
    w = Writer(half)
    residual = "0=1 -23301=2,2.000000e-01,1.000000e+00"
    first = x = w.conv("data", state, "conv_first", False)
    for block in range(blocks):
        start = x
        for part in (1, 2, 3):
            features = [x]
            for layer in range(1, 6):
                blob = features[0] if layer == 1 else w.add("Concat", list(features))
                features.append(w.conv(blob, state, f"body.{block}.rdb{part}.conv{layer}", layer < 5))
            x = w.add("Eltwise", [features[-1], x], residual)
        x = w.add("Eltwise", [x, start], residual)
    x = w.add("BinaryOp", [first, w.conv(x, state, "conv_body", False)])
    for name in ("conv_up1", "conv_up2"):
        x = w.conv(w.add("Interp", [x], "0=1 1=2.000000e+00 2=2.000000e+00"), state, name, True)
    w.conv(w.conv(x, state, "conv_hr", True), state, "conv_last", False)
    graph, numbers = folder / "net.param", folder / "net.bin"
    graph.write_text(w.text())
    numbers.write_bytes(w.numbers)
    return graph, numbers


def run(graph: Path, numbers: Path, image: Tensor) -> Tensor:
    """What ncnn computes from these files, one layer after the other, with blobs found by their names."""
    layers = read_graph(graph)
    weights = {c.layer.name: c for c in read_convolutions(layers, numbers)}
    blobs: dict[str, Tensor] = {}
    for layer in layers:
        given = [blobs.pop(name) for name in layer.inputs]
        for name in layer.outputs:
            blobs[name] = _compute(layer, given, weights, image)
    (result,) = blobs.values()
    return result


def _compute(layer: Layer, given: list[Tensor], weights: dict, image: Tensor) -> Tensor:
    if layer.kind == "Input":
        return image
    if layer.kind == "Split":
        return given[0]
    if layer.kind == "Convolution":
        own = weights[layer.name]
        made = F.conv2d(given[0], own.weight, own.bias, padding=1)
        return F.leaky_relu(made, layer.values[10][0]) if layer.number(9) == 2 else made
    if layer.kind == "Concat":
        return torch.cat(given, 1)
    if layer.kind == "Eltwise":
        return sum(a * b for a, b in zip(layer.values[1], given, strict=True))  # type: ignore[return-value]
    if layer.kind == "BinaryOp":
        return given[0] + given[1]
    assert layer.kind == "Interp"
    return given[0].repeat_interleave(2, 2).repeat_interleave(2, 3)
