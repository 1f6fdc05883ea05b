import json
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("ddp_worker.py")
COUNTS = [5, 1]


def start(rank, world, store):
    command = [sys.executable, str(WORKER), str(rank), str(world), json.dumps(COUNTS), str(store)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path):
    """An odd number of images, one of them repeated; and a single image, so that the second process has none."""
    workers = [start(0, 1, "none"), start(0, 2, tmp_path / "store"), start(1, 2, tmp_path / "store")]
    outputs = [worker.communicate(timeout=200)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    alone, *both = [json.loads(output.splitlines()[-1]) for output in outputs]
    for together in both:
        for count, expected, found in zip(COUNTS, alone, together, strict=True):
            for name, (mean, index, scores) in expected.items():
                assert found[name][0] == pytest.approx(mean, rel=1e-12)
                assert found[name][1] == index == list(range(count))
                assert found[name][2] == pytest.approx(scores, rel=1e-12)
