"""One process of test_training.py: scores its share of seven images."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from octosr.metrics.maniqa import Maniqa


def score(weights: str, rank: int, world: int) -> dict[str, Any]:
    """Of all images, though the process has seen its share only."""
    images = torch.rand(7, 3, 60, 50, generator=torch.Generator().manual_seed(0))
    share = list(range(rank, 7, world))
    share += [0] * (-(-7 // world) - len(share))
    metric = Maniqa(weights)
    for part in (share[:2], share[2:]):
        metric.update(images[part], torch.tensor(part))
    index, scores = metric.per_image()
    return {"index": index.tolist(), "scores": scores.tolist(), "mean": float(metric.compute())}


if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("maniqa_conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    rank, world = int(sys.argv[2]), int(sys.argv[3])
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[4]}", rank=rank, world_size=world)
    with pytest.MonkeyPatch.context() as patch:
        conftest.shrink(patch)
        print(json.dumps(score(sys.argv[1], rank, world)))
    dist.destroy_process_group()
