"""The reader of ncnn's files, on networks written by the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ncnn_files
import pytest
import torch
from torch import Tensor

from octosr.errors import WrongWeightsError
from octosr.techniques.ecosystem import build
from octosr.techniques.realesrgan.module import RealESRGAN
from octosr.techniques.realesrgan.ncnn import read_graph
from octosr.techniques.realesrgan.rrdb import names, read_rrdbnet

FEATURES, GROWTH, BLOCKS = 6, 32, 2  # spandrel's dense blocks always grow by 32


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {}
    for name in names(BLOCKS):
        layer = int(name[-1]) if ".conv" in name else 0
        inputs = 3 if name == "conv_first" else FEATURES + GROWTH * max(layer - 1, 0)
        outputs = 3 if name == "conv_last" else GROWTH if 1 <= layer <= 4 else FEATURES
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator) / (3 * inputs**0.5)
        made[f"{name}.weight"] = weight.half().float()
        made[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    return made


@pytest.fixture
def files(tmp_path: Path, state: dict[str, Tensor]) -> tuple[Path, Path]:
    return ncnn_files.write(tmp_path, state, BLOCKS)


@pytest.mark.parametrize("half", [True, False])
def test_every_tensor_comes_back(tmp_path: Path, state: dict[str, Tensor], half: bool) -> None:
    found = read_rrdbnet(*ncnn_files.write(tmp_path, state, BLOCKS, half))
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor), name


def test_the_network_computes_what_the_graph_says(files: tuple[Path, Path]) -> None:
    network = build(read_rrdbnet(*files), files[1])
    image = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        torch.testing.assert_close(network.model(image), ncnn_files.run(*files, image), rtol=0, atol=1e-5)


def damage_text(old: str, new: str, count: int = 1) -> Callable[[Path, Path], None]:
    def damage(graph: Path, numbers: Path) -> None:
        text = graph.read_text()
        assert old in text
        graph.write_text(text.replace(old, new, count))

    return damage


def damage_numbers(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    return lambda graph, numbers: numbers.write_bytes(change(numbers.read_bytes())) and None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_text("7767517", "7767516"), r"net\.param is not the graph of an ncnn network: .*found 7767516"),
        (lambda graph, numbers: graph.write_text(""), "found nothing"),
        (lambda graph, numbers: graph.write_bytes(b"\xff\xfe"), "cannot be read as the graph"),
        (lambda graph, numbers: graph.unlink(), r"net\.param cannot be read"),
        (damage_text("BinaryOp", "BinaryOp x 99 1"), "a line of it is not a layer"),
        (damage_text("-23310=1,", "-23310=2,"), "an array of 1 values that announces 2"),
        (damage_text("Concat", "Concat_ x 0 0\nConcat"), "announces .* layers and .* blobs, but has"),
        (damage_text("0=6 1=3 4=1", "0=6 1=3 3=2 4=1"), "layer 1 is Convolution Convolution_0*1?.*, expected conv"),
        (damage_text("9=2 -23310=1,2.0", "9=2 -23310=1,1.0"), r"expected conv\+leaky"),
        (damage_text("2,2.000000e-01", "2,3.000000e-01"), "is Eltwise .*expected residual"),
        (damage_text("0=1 1=2.0", "0=2 1=2.0"), "is Interp .*expected double"),
        (damage_text("Eltwise", "BinaryOp"), "expected residual"),
        (damage_text("6=162", "6=163"), "has 163 weights for 6 filters of side 3"),
        (damage_text("0=6 1=3 4=1 5=1 6=162", "0=3 1=3 4=1 5=1 6=162"), "cut off|stored as|expected 3 to"),
        (damage_numbers(lambda content: content[:-1]), r"net\.bin is cut off"),
        (damage_numbers(lambda content: b""), r"net\.bin is cut off: .* needs bytes 0 to 4 of 0"),
        (damage_numbers(lambda content: content + b"\0\0\0\0"), r"net\.bin has \d+ bytes, but its graph needs \d+"),
        (damage_numbers(lambda content: b"\x38\x4b\x0d\x00" + content[4:]), "stored as 0x000d4b38"),
        (lambda graph, numbers: numbers.unlink(), r"net\.bin cannot be read"),
    ],
)
def test_anything_else_is_an_error(
    files: tuple[Path, Path], damage: Callable[[Path, Path], None], message: str
) -> None:
    damage(*files)
    with pytest.raises(WrongWeightsError, match=message):
        read_rrdbnet(*files)


def test_another_network_is_an_error(tmp_path: Path, state: dict[str, Tensor], files: tuple[Path, Path]) -> None:
    graph = tmp_path / "other.param"
    graph.write_text("7767517\n2 2\nInput in 0 1 data\nConvolution c 1 1 data out 0=3 1=3 4=1 5=1 6=81\n")
    with pytest.raises(WrongWeightsError, match=r"has 1 convolutions; an RRDBNet has 6 \+ 15 a block"):
        read_rrdbnet(graph, files[1])
    assert [layer.kind for layer in read_graph(graph)] == ["Input", "Convolution"]
    narrow = dict(state)
    narrow["conv_last.weight"], narrow["conv_last.bias"] = torch.zeros(4, FEATURES, 3, 3), torch.zeros(4)
    with pytest.raises(WrongWeightsError, match=r"maps 6 channels to 4, expected 6 to 3"):
        read_rrdbnet(*ncnn_files.write(tmp_path, narrow, BLOCKS))


def test_the_technique_takes_these_files_and_releases_and_nothing_else(
    tmp_path: Path, files: tuple[Path, Path], state: dict[str, Tensor]
) -> None:
    technique, lr = RealESRGAN(), torch.rand(2, 3, 4, 4)
    assert "net.bin (Real-ESRGAN, ESRGAN, 6nf 2nb, BSD-3-Clause)" in technique.load_weights(files)
    first = technique.super_resolve(lr)
    torch.testing.assert_close(technique.super_resolve(lr[1:]), first[1:])
    torch.save({"params_ema": state}, tmp_path / "release.pth")
    technique.load_weights([tmp_path / "release.pth"])
    assert torch.equal(technique.super_resolve(lr), first)
    for paths in ([files[1]], [files[0], files[0]], [files[1], tmp_path / "release.pth"]):
        with pytest.raises(WrongWeightsError, match=r"Expected NAME\.param and NAME\.bin, or one \.pth file"):
            technique.load_weights(paths)
