"""One process of test_distributed.py: scores its share of some images and prints means and per-image scores.

Every metric class is there; the two whose weights are large have a small random network in the place of theirs.
"""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

import octosr.metrics.maniqa
from octosr.metrics.base import ImageMetric
from octosr.metrics.fidelity import LrConsistency, MsSsim, Psnr, Ssim
from octosr.metrics.iqa import PyiqaMetric
from octosr.metrics.lpips import Lpips
from octosr.metrics.maniqa import Maniqa
from octosr.metrics.niqe import Niqe
from octosr.metrics.sharpness import LaplacianVariance, RmsContrast, Tenengrad

SIDE = 200  # what every variant of NIQE takes, enough for five scales, a multiple of 8


def small(network: nn.Module, crops: torch.Tensor, precision: str) -> torch.Tensor:
    """In place of MANIQA's network: exact sums a crop."""
    weights = crops.double().abs().flatten(1).mean(1)
    return torch.stack([weights * crops.double().square().flatten(1).mean(1), weights], dim=1)


def metrics(folder: Path) -> list[ImageMetric]:
    weights = folder / "backbone.pth"
    if not weights.is_file():
        raise FileNotFoundError(weights)
    maniqa = Maniqa(weights, protocol="pyiqa")
    maniqa._holder.append((torch.device("cpu"), nn.Identity()))
    octosr.metrics.maniqa.crop_sums = small
    return [
        *(Niqe(), Niqe(variant="niqe_study"), Niqe(variant="niqe_basicsr")),
        Niqe(color_space="ycbcr", crop_border=2, name="niqe_other"),
        maniqa,
        *(RmsContrast(), LaplacianVariance(), Tenengrad()),
        *(Psnr(), Psnr("y", 8, "psnr_y"), Ssim(), Ssim("y", 8, "ssim_y"), MsSsim()),
        LrConsistency(),
        Lpips("squeeze", weights),
        *(PyiqaMetric("piqe"), PyiqaMetric("gmsd")),
    ]


def score(rank: int, world: int, count: int, folder: Path) -> dict[str, list]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, SIDE // 8, SIDE // 8, generator=generator)
    images = nn.functional.interpolate(coarse, size=SIDE, mode="bicubic").clamp(0, 1)
    images = (images + 0.1 * torch.rand(count, 3, SIDE, SIDE, generator=generator)).clamp(0, 1)
    reference = images * 0.9 + 0.1 * torch.rand(count, 3, SIDE, SIDE, generator=generator)
    share = list(range(rank, count, world))
    if share:  # a distributed sampler fills up the shares with repeated images
        share += [0] * (-(-count // world) - len(share))
    result = {}
    for metric in metrics(folder):
        for part in (share[:2], share[2:]):
            if part:
                target = {"nothing": None, "hr": reference[part], "lr": coarse[part]}[metric.compares_with]
                metric.update(images[part], torch.tensor(part), target)
        index, scores = metric.per_image()
        result[metric.name] = [float(metric.compute()), index.tolist(), scores.tolist()]
        assert isinstance(metric.scores, list)  # each process has only its own share again
        assert sum(map(len, metric.scores)) == len(share)
    return result


if __name__ == "__main__":
    rank, world, counts, folder = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), Path(sys.argv[4])
    dist.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=world)
    print(json.dumps([score(rank, world, count, folder) for count in counts]))
    dist.destroy_process_group()
