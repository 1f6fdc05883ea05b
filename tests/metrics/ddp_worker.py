"""One process of test_distributed.py: scores its share of some images and prints means and per-image scores."""

import json
import sys

import torch
import torch.distributed as dist

from octosr.metrics.fidelity import Psnr, Ssim
from octosr.metrics.niqe import Niqe


def score(rank: int, world: int, count: int) -> dict[str, list]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, 96, 100, generator=generator)
    reference = images * 0.9 + 0.1 * torch.rand(count, 3, 96, 100, generator=generator)
    share = list(range(rank, count, world))
    if share:  # a distributed sampler fills up the shares with repeated images
        share += [0] * (-(-count // world) - len(share))
    result = {}
    for metric in (Psnr(), Ssim(), Niqe()):
        for part in (share[:2], share[2:]):
            if part:
                target = reference[part] if metric.needs_reference else None
                metric.update(images[part], torch.tensor(part), target)
        index, scores = metric.per_image()
        result[metric.name] = [float(metric.compute()), index.tolist(), scores.tolist()]
        assert isinstance(metric.scores, list)  # each process has only its own share again
        assert sum(map(len, metric.scores)) == len(share)
    return result


if __name__ == "__main__":
    rank, world, counts, store = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    print(json.dumps([score(rank, world, count) for count in counts]))
    if world > 1:
        dist.destroy_process_group()
