"""A batch shared out over cores gives what one thread gives, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from octosr.nn import parallel
from octosr.techniques.dan.network import DANNetwork
from octosr.techniques.dan.network_v1 import build_v1
from octosr.techniques.dan.network_v2 import build_v2


def network(version: int) -> DANNetwork:
    torch.manual_seed(0)
    build = {
        1: lambda: build_v1(2, features=48, blocks=2, estimator_blocks=1, iterations=2),
        2: lambda: build_v2(2, features=48, groups=1, blocks=2, estimator_blocks=1, iterations=2),
    }
    made = build[version]()
    made.set_pca_basis(torch.linalg.qr(torch.randn(441, 10))[0])
    return made.double()


def loss_and_gradients(net: DANNetwork, lr: Tensor, target: Tensor) -> tuple[Tensor, list[Tensor]]:
    net.zero_grad()
    estimate = net(lr)
    known = estimate.code if estimate.kernel is None else estimate.kernel
    loss = (estimate.sr - target).abs().mean() + known.square().sum()
    loss.backward()
    return loss.detach(), [p.grad.clone() for p in net.parameters() if p.grad is not None]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_values_and_gradients_are_those_of_one_thread(
    version: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(version)
    generator = torch.Generator().manual_seed(1)
    lr = torch.rand(count, 3, 8, 12, generator=generator, dtype=torch.float64)
    target = torch.rand(count, 3, 16, 24, generator=generator, dtype=torch.float64)
    torch.set_num_threads(1)
    loss, gradients = loss_and_gradients(net, lr, target)
    with torch.no_grad():
        image = net(lr, final_estimate=False).sr

    torch.set_num_threads(2)
    calls = []
    run = parallel.run
    monkeypatch.setattr(parallel, "run", lambda *arguments: calls.append(1) or run(*arguments))
    shared_loss, shared = loss_and_gradients(net, lr, target)
    with torch.inference_mode():
        shared_image = net(lr, final_estimate=False).sr
    assert len(calls) == 2
    assert torch.get_num_threads() == 2
    assert shared_loss.item() == pytest.approx(loss.item(), abs=1e-12)
    assert (shared_image - image).abs().max() < 1e-12
    assert len(shared) == len(gradients)
    for one, two in zip(gradients, shared, strict=True):
        assert torch.allclose(one, two, rtol=1e-9, atol=1e-13)
