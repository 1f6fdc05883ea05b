"""DAN against a slow, plain rendering of its description, in float64, on weights in the public layout."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.degradation.resize import resize
from octosr.techniques.dan.layout import load_official, to_official
from octosr.techniques.dan.maps import FastMaps, maps_for
from octosr.techniques.dan.network import DANNetwork
from octosr.techniques.dan.network_v1 import build_v1
from octosr.techniques.dan.network_v2 import build_v2

State = dict[str, Tensor]
COUNTS = [
    (build_v1, {"scale": 2}, 4_181_799, 3_893_203, 288_596),
    (build_v1, {"scale": 3}, 4_366_439, 4_077_843, 288_596),
    (build_v1, {"scale": 4}, 4_329_511, 4_040_915, 288_596),
    (build_v1, {"scale": 8}, 4_477_223, 4_188_627, 288_596),
    (build_v2, {"scale": 2}, 4_540_028, 4_297_667, 242_361),
    (build_v2, {"scale": 3}, 4_733_116, 4_482_307, 250_809),
    (build_v2, {"scale": 4}, 4_707_708, 4_445_379, 262_329),
    (build_v2, {"scale": 8}, 4_932_220, None, None),
    (build_v2, {"scale": 2, "kernel_size": 11}, 4_519_228, 4_297_667, 221_561),
    (build_v2, {"scale": 4, "kernel_size": 31, "components": 15}, 4_741_828, 4_445_699, 296_129),
]


@pytest.mark.parametrize(("build", "arguments", "total", "restorer", "estimator"), COUNTS)
def test_parameter_counts_are_the_published_ones(build, arguments, total, restorer, estimator):
    with torch.device("meta"):
        network = build(**arguments)

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(network) == total
    if restorer is not None:
        assert (count(network.restorer), count(network.estimator)) == (restorer, estimator)


def conv(state: State, name: str, x: Tensor, padding: int = 0, stride: int = 1) -> Tensor:
    return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=stride, padding=padding)


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def count_blocks(state: State, prefix: str) -> int:
    return len({key[len(prefix) + 1 :].split(".")[0] for key in state if key.startswith(f"{prefix}.")})


def upscale(state: State, x: Tensor, scale: int) -> Tensor:
    steps = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}[scale]
    x = conv(state, "Restorer.fusion", x, 1)
    for i, step in enumerate(steps):
        x = F.pixel_shuffle(conv(state, f"Restorer.upscale.{2 * i}", x, 1), step)
    return conv(state, f"Restorer.upscale.{2 * len(steps)}", x, 1)


def crb(state: State, name: str, f1: Tensor, f2: Tensor) -> Tensor:
    y = conv(state, f"{name}.0", torch.cat([f1, f2], 1), 1)
    y = conv(state, f"{name}.2", lrelu(y), 1)
    attention = conv(state, f"{name}.3.body.0", F.adaptive_avg_pool2d(y, 1))
    attention = torch.sigmoid(conv(state, f"{name}.3.body.2", lrelu(attention)))
    return y * attention + f1


def restore_v1(state: State, lr: Tensor, code: Tensor, scale: int) -> Tensor:
    code_map = code[:, :, None, None].repeat(1, 1, *lr.shape[-2:])
    x = conv(state, "Restorer.head", lr, 1)
    for i in range(count_blocks(state, "Restorer.body")):
        x = crb(state, f"Restorer.body.{i}.body", x, code_map)
    return upscale(state, x, scale)


def estimate_v1(state: State, sr: Tensor, lr: Tensor, scale: int) -> tuple[Tensor, None]:
    f1 = conv(state, "Estimator.head_LR", lr)
    f2 = conv(state, "Estimator.head_HR", sr, 4, scale)
    for i in range(count_blocks(state, "Estimator.body")):
        f1 = crb(state, f"Estimator.body.{i}.body", f1, f2)
    return F.adaptive_avg_pool2d(conv(state, "Estimator.out", f1, 1), 1).flatten(1), None


def dpcb(state: State, name: str, x: Tensor, y: Tensor, padding: int) -> tuple[Tensor, Tensor]:
    a = conv(state, f"{name}.body1.2", lrelu(conv(state, f"{name}.body1.0", x, 1)), 1)
    b = conv(state, f"{name}.body2.2", lrelu(conv(state, f"{name}.body2.0", y, padding)), padding)
    return x + a * b, y + b


def dpcg(state: State, name: str, x: Tensor, y: Tensor, padding: int, doubling: bool) -> tuple[Tensor, Tensor]:
    start = x, y
    for i in range(count_blocks(state, f"{name}.body")):
        x, y = dpcb(state, f"{name}.body.{i}", x, y, padding)
    return (2 * x, 2 * y) if doubling else (x + start[0], y + start[1])


def restore_v2(state: State, lr: Tensor, code: Tensor, scale: int, doubling: bool = True) -> Tensor:
    x = conv(state, "Restorer.head1", lr, 1)
    y = conv(state, "Restorer.head2", code[:, :, None, None])
    for g in range(count_blocks(state, "Restorer.body")):
        x, y = dpcg(state, f"Restorer.body.{g}", x, y, 0, doubling)
    return upscale(state, x, scale)


def estimate_v2(state: State, sr: Tensor, lr: Tensor, scale: int, doubling: bool = True) -> tuple[Tensor, Tensor]:
    x = conv(state, "Estimator.head_LR.0", lr, 2)
    y = conv(state, "Estimator.head_HR.0", sr, 2 * scale, scale)
    x, _ = dpcg(state, "Estimator.body", x, y, 1, doubling)
    x = F.adaptive_avg_pool2d(conv(state, "Estimator.tail.0", x, 1), 1)
    kernel = conv(state, "Estimator.tail.2", x).flatten(1).softmax(1)
    return kernel @ state["encoder"][0], kernel


def reference(
    version: int, state: State, lr: Tensor, scale: int, iterations: int, **options: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """All iterations under autograd; SR and code are cut off where they pass from one network to the other."""
    restore, estimate = (restore_v1, estimate_v1) if version == 1 else (restore_v2, estimate_v2)
    code = state["init_ker_map"].expand(lr.shape[0], -1)
    for _ in range(iterations):
        sr = restore(state, lr, code.detach(), scale, **options)
        code, kernel = estimate(state, sr.detach(), lr, scale, **options)
    return sr, code, kernel


def make(version: int, scale: int, features: int = 16, **options) -> DANNetwork:
    torch.manual_seed(scale)
    sizes = {"features": features, "blocks": 2, "estimator_features": 16, "estimator_blocks": 2, "kernel_size": 7}
    if version == 2:
        sizes["groups"] = 2
    network = (build_v1 if version == 1 else build_v2)(scale, components=5, iterations=3, **sizes, **options).double()
    network.set_pca_basis(torch.linalg.qr(torch.randn(49, 5, dtype=torch.float64))[0])
    return network


def losses(sr: Tensor, prediction: Tensor, hr: Tensor) -> Tensor:
    target = torch.linspace(0, 1, prediction.shape[1]).to(prediction).expand_as(prediction)
    return F.l1_loss(sr, hr) + F.l1_loss(prediction, target)


# Narrow networks and odd sides take PyTorch's convolutions, wide ones with sides divisible by 4 the tiles.
SHAPES = [(16, (7, 9)), (16, (2, 3)), (48, (8, 12))]


@pytest.mark.parametrize(("features", "sides"), SHAPES)
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("version", [1, 2])
def test_outputs_and_gradients_equal_the_plain_form_with_autograd_everywhere(version, scale, features, sides):
    network = make(version, scale, features)
    lr = torch.rand(2, 3, *sides, dtype=torch.float64)
    hr = torch.rand(2, 3, sides[0] * scale, sides[1] * scale, dtype=torch.float64)
    assert isinstance(maps_for(lr, features, True), FastMaps) == (features == 48)

    state = {name: value.requires_grad_() for name, value in to_official(network).items()}
    expected = reference(version, state, lr, scale, iterations=3)
    found = network(lr)
    torch.testing.assert_close(found.sr, expected[0], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(found.code, expected[1], rtol=1e-9, atol=1e-10)
    if version == 2:
        torch.testing.assert_close(found.kernel, expected[2], rtol=1e-9, atol=1e-10)

    losses(expected[0], expected[-1] if version == 2 else expected[1], hr).backward()
    losses(found.sr, found.kernel if version == 2 else found.code, hr).backward()
    gradients = copy.deepcopy(network)
    for parameter, original in zip(gradients.parameters(), network.parameters(), strict=True):
        parameter.data.copy_(original.grad)
    compared = 0
    for name, gradient in to_official(gradients).items():
        if name.endswith((".weight", ".bias")):
            wanted = state[name].grad
            torch.testing.assert_close(gradient, wanted, rtol=1e-8, atol=1e-10 * float(wanted.abs().max() + 1))
            compared += 1
    assert compared == len([name for name in state if name.endswith((".weight", ".bias"))])


@pytest.mark.parametrize("sides", [(1, 1), (1, 6), (5, 1), (2, 2), (3, 2)])
def test_v1_equals_the_plain_form_on_images_too_small_for_an_interior(sides):
    network = make(1, 2)
    lr = torch.rand(2, 3, *sides, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(lr).sr, reference(1, to_official(network), lr, 2, 3)[0])


def test_true_group_residual_instead_of_the_doubling():
    network = make(2, 2, group_doubling=False)
    lr = torch.rand(1, 3, 6, 5, dtype=torch.float64)
    with torch.no_grad():
        expected = reference(2, to_official(network), lr, 2, 3, doubling=False)
        found = network(lr)
    torch.testing.assert_close(found.sr, expected[0])
    torch.testing.assert_close(found.kernel, expected[2])
    assert (found.sr - reference(2, to_official(network), lr, 2, 3)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("version", [1, 2])
def test_inference_skips_the_last_estimate_and_can_be_given_the_code(version):
    network = make(version, 2)
    lr = torch.rand(2, 3, 6, 8, dtype=torch.float64)
    with torch.no_grad():
        full, short = network(lr), network(lr, final_estimate=False)
        again = network(lr, code=short.code, final_estimate=False)
    assert torch.equal(full.sr, short.sr)
    assert torch.equal(again.sr, short.sr)
    assert not torch.equal(full.code, short.code)
    if version == 2:
        torch.testing.assert_close(short.kernel.sum(1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("version", [1, 2])
def test_a_batch_equals_its_images(version):
    network = make(version, 2, features=48)
    lr = torch.rand(3, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(lr).sr, torch.cat([network(image[None]).sr for image in lr]))


def test_bicubic_skip_starts_at_bicubic():
    network = make(2, 4, bicubic_skip=True)
    lr = torch.rand(1, 3, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(network(lr).sr, resize(lr, (24, 20)))


@pytest.mark.parametrize("version", [1, 2])
def test_channels_last(version):
    network = make(version, 2)
    lr = torch.rand(2, 3, 6, 8, dtype=torch.float64)
    expected = network(lr)
    network.to(memory_format=torch.channels_last)
    found = network(lr.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found.sr, expected.sr)
    torch.testing.assert_close(found.code, expected.code)


@pytest.mark.parametrize("version", [1, 2])
def test_bfloat16_autocast_leaves_no_parameter_without_gradient(version):
    network = make(version, 2, features=48).float()
    lr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    gradients = []
    for enabled in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            estimate = network(lr)
            loss = losses(estimate.sr, estimate.kernel if version == 2 else estimate.code, hr)
        loss.backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
    assert F.cosine_similarity(*gradients, dim=0) > 0.98


@pytest.mark.parametrize("version", [1, 2])
def test_compiles_to_one_graph(version):
    network = make(version, 2, features=48)
    lr = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    expected = network(lr)
    names = list(network.state_dict())
    network.compile(backend="aot_eager", fullgraph=True)
    found = network(lr)
    torch.testing.assert_close(found.sr, expected.sr)
    found.sr.sum().backward()
    assert network.restorer.head.weight.grad is not None
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("version", [1, 2])
def test_public_layout_round_trip_with_either_memory_format(version):
    network = make(version, 4)
    other = make(version, 4)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.to(memory_format=torch.channels_last)
    load_official(other, to_official(network), Path("memory"))
    for name, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
