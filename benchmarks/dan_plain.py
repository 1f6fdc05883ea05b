"""DAN v2 as its paper writes it, and the loop of the public ``inference.py``; what ``dan_predict.py`` compares with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from dan_upstream import build_upstream
from torch import Tensor, nn

from octosr.degradation.pipeline import Degradation
from octosr.techniques.dan.layout import load_official
from octosr.techniques.dan.module import DAN
from octosr.techniques.dan.network import DANNetwork
from octosr.techniques.dan.network_v2 import DualPathBlock, EstimatorV2, RestorerV2

STAGES = (2, 4)
KERNEL, COMPONENTS = 21, 10


class PlainDAN(nn.Module):
    """DAN v2 with every iteration from the start, on the weights of one of our networks."""

    def __init__(self, network: DANNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Images, codes and kernels of all iterations."""
        restorer, estimator, basis = self.network.restorer, self.network.estimator, self.network.pca_basis
        assert isinstance(restorer, RestorerV2)
        assert isinstance(estimator, EstimatorV2)
        code = self.network.initial_code.expand(len(lr), -1)
        images, codes, kernels = [], [], []
        for _ in range(self.network.iterations):
            x, y = restorer.head(lr), restorer.head_code(code)[:, :, None, None]
            for group in restorer.groups:
                x, y = _group(group, x, y)
            sr = restorer.upscale(restorer.fusion(x))
            x, _ = _group(estimator.blocks, estimator.head_lr(lr), estimator.head_sr(sr))
            kernel = estimator.kernel(estimator.tail(x).mean((2, 3))).softmax(1)
            code = kernel @ basis
            images.append(sr)
            codes.append(code)
            kernels.append(kernel)
        return images, codes, kernels


def _group(blocks: list[DualPathBlock], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    for block in blocks:
        a = block.main2(F.leaky_relu(block.main1(x), 0.2))
        b = block.condition2(F.leaky_relu(block.condition1(y), 0.2))
        x, y = x + a * b, y + b
    return 2 * x, 2 * y


def networks(clone: Path | None, device: torch.device) -> tuple[list[nn.Module], DAN]:
    """The other side's networks and our technique, with the same random weights.

    Args:
        clone: of the public implementation; None: :class:`PlainDAN`.
        device: to use.
    """
    torch.manual_seed(0)
    sizes = dict.fromkeys(STAGES, KERNEL)
    degradation = Degradation(kind="isotropic", sigma=dict.fromkeys(STAGES, (0.2, 4.0)), kernel_size=sizes, seed=0)
    ours = DAN(name="dan", degradation=degradation, stages=STAGES, pca_components=dict.fromkeys(STAGES, COMPONENTS))
    others: list[nn.Module] = []
    for scale in STAGES:
        basis = torch.linalg.qr(torch.randn(KERNEL**2, COMPONENTS))[0]
        network = ours.network(scale)
        if clone is None:
            network.set_pca_basis(basis)
            network.restorer.fusion.weight.data.div_(1000)  # see dan_parity.py
            others.append(PlainDAN(network))
            continue
        theirs = build_upstream(clone, 2, scale, basis)
        theirs.get_parameter("Restorer.fusion.weight").data.div_(1000)
        load_official(network, theirs.state_dict(), Path("memory"))
        others.append(theirs)
    return [network.to(device).eval() for network in others], ours.to(device).eval()


def public_loop(stages: list[nn.Module], paths: list[Path], output: Path, device: torch.device) -> None:
    """Read, enlarge and write one image after the other with OpenCV, as ``inference.py`` does, with two networks.

    Kinder to it than two runs, in which the x2 images would be written and read again.
    """
    import cv2

    output.mkdir()
    for path in paths:
        pixels = cv2.imread(str(path))[:, :, ::-1].transpose(2, 0, 1)[None] / 255
        x = torch.as_tensor(np.ascontiguousarray(pixels)).float().to(device)
        with torch.no_grad():
            for network in stages:
                x = network(x.clamp(0, 1))[0][-1]
        found = x[0].detach().float().cpu().clamp(0, 1).numpy()
        cv2.imwrite(str(output / path.name), (np.transpose(found[::-1], (1, 2, 0)) * 255.0).round().astype(np.uint8))
