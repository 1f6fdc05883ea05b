import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

import octosr.metrics
import octosr.metrics.maniqa
from scripts import module_of

WORKER = Path(__file__).with_name("ddp_worker.py")
COUNTS = [7, 1]


def start(rank, folder):
    command = [sys.executable, str(WORKER), str(rank), "2", json.dumps(COUNTS), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_give_what_one_gives_for_every_metric(tmp_path, monkeypatch):
    """An odd number of images, one of them repeated; and a single image, so that the second process has none."""
    torch.manual_seed(0)
    features = torchvision.models.squeezenet1_1(weights=None).features.state_dict()
    torch.save({f"features.{name}": tensor for name, tensor in features.items()}, tmp_path / "backbone.pth")
    workers = [start(rank, tmp_path) for rank in (0, 1)]
    monkeypatch.setattr(octosr.metrics.maniqa, "crop_sums", octosr.metrics.maniqa.crop_sums)  # replaced by the worker
    alone = [module_of(WORKER).score(0, 1, count, tmp_path) for count in COUNTS]
    outputs = [worker.communicate(timeout=600)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    both = [json.loads(output.splitlines()[-1]) for output in outputs]
    assert len(alone[0]) >= 15
    for together in both:
        for count, expected, found in zip(COUNTS, alone, together, strict=True):
            assert list(found) == list(expected)
            for name, (mean, index, scores) in expected.items():
                assert len(set(scores)) == count, name  # images that differ, so that a mix-up would show
                assert found[name][0] == pytest.approx(mean, rel=1e-12), name
                assert found[name][1] == index == list(range(count))
                assert found[name][2] == pytest.approx(scores, rel=1e-12), name


def test_no_metric_class_is_left_out():
    """Every class with a name of its own column in the package is constructed by the worker."""
    classes = {"PyiqaMetric"}
    for path in Path(octosr.metrics.__path__[0]).glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and "default_name = " in ast.unparse(node):
                classes.add(node.name)
    called = {
        node.func.id
        for node in ast.walk(ast.parse(WORKER.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert len(classes) >= 11
    assert classes - {"Inapplicable"} <= called  # which has no score for any image
