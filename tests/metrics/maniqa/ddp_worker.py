"""One process of test_training.py: scores its share of seven images."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from octosr.metrics.maniqa import Maniqa

weights, rank, world, store = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
spec = importlib.util.spec_from_file_location("maniqa_conftest", Path(__file__).with_name("conftest.py"))
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)
torch.set_num_threads(1)
if world > 1:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
images = torch.rand(7, 3, 60, 50, generator=torch.Generator().manual_seed(0))
share = list(range(rank, 7, world))
share += [0] * (-(-7 // world) - len(share))
with pytest.MonkeyPatch.context() as patch:
    conftest.shrink(patch)
    metric = Maniqa(weights)
    for part in (share[:2], share[2:]):
        metric.update(images[part], torch.tensor(part))
    index, scores = metric.per_image()
    print(json.dumps({"index": index.tolist(), "scores": scores.tolist(), "mean": float(metric.compute())}))
if world > 1:
    dist.destroy_process_group()
