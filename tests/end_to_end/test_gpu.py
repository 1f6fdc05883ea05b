"""On a GPU every technique trains, goes on, and gives what it gives on a CPU; mixed precision on a CPU, too."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from octosr.runs.evaluate import evaluate
from octosr.runs.predict import predict
from octosr.runs.train import train

Composer = Callable[..., DictConfig]
LENGTHS = {
    "moesr": ("technique.phase=experts", "technique.phase=all"),
    "blindsr": ("technique.phase=generator", "technique.phase=all"),
    "fastgan": ("technique.kimg=0.008", "technique.kimg=0.05"),
    "apa": ("technique.kimg=0.008", "technique.kimg=0.05"),
}
"""Of the first training and of the one that goes on; steps elsewhere."""
TECHNIQUES = ("dan", "moesr", "blindsr", "fastgan", "apa")
QUIET = ("logger=none", "trainer.enable_progress_bar=false", "trainer.enable_model_summary=false")
# OCTOSR_TRY_ON=cpu: the same on a CPU, to try the tests themselves.
DEVICE = os.environ.get("OCTOSR_TRY_ON", "gpu")
needs_gpu = pytest.mark.skipif(DEVICE == "gpu" and not torch.cuda.is_available(), reason="needs a GPU")
ON_GPU = [pytest.param(DEVICE, precision, marks=needs_gpu) for precision in ("32-true", "bf16-mixed", "16-mixed")]
pytestmark = pytest.mark.slow


@pytest.fixture
def images(tmp_path: Path, smooth_images: Callable[..., Tensor]) -> Path:
    """A folder of four pictures of 128x128."""
    folder = tmp_path / "images"
    folder.mkdir()
    for n, image in enumerate(smooth_images(4, 128, 128)):
        Image.fromarray(image.mul(255).byte().permute(1, 2, 0).numpy()).save(folder / f"{n}.png")
    return folder


def settings(technique: str, images: Path, out: Path, hardware: str) -> list[str]:
    """The smallest networks on these images."""
    common = [f"technique={technique}", "experiment=tiny", "dataset=more/folder", f"dataset.path={images}"]
    return [*common, *QUIET, f"output_root={out}", f"hardware={hardware}", "callbacks.diversity=null"]


@pytest.mark.parametrize(("hardware", "precision"), [("cpu", "bf16-mixed"), *ON_GPU])
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_trains_and_goes_on(
    composer: Composer, images: Path, tmp_path: Path, technique: str, hardware: str, precision: str
) -> None:
    chosen = [*settings(technique, images, tmp_path / "out", hardware), f"trainer.precision={precision}"]
    first, second = LENGTHS.get(technique, ("trainer.max_steps=4", "trainer.max_steps=12"))
    steps = []
    for length in (first, second):
        train(composer("train", *chosen, length))
        last = torch.load(next((tmp_path / "out").rglob("last.ckpt")), map_location="cpu", weights_only=True)
        assert all(value.isfinite().all() for value in last["state_dict"].values() if value.is_floating_point())
        steps.append(last["global_step"])
    assert 0 < steps[0] < steps[1]


@needs_gpu
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_gives_what_the_cpu_gives(composer: Composer, images: Path, tmp_path: Path, technique: str) -> None:
    """Images of full precision: few values another 8-bit number, and the next one; NIQE with them.

    MoESR reads its kernel off 85 scores that stand close together, and then optimises: there it is a few numbers more.
    """
    train(composer("train", *settings(technique, images, tmp_path / "cpu", "cpu")))
    weights = next((tmp_path / "cpu").rglob("last.ckpt"))
    found = []
    for hardware in ("cpu", DEVICE):
        out = tmp_path / f"eval-{hardware}"
        chosen = [*settings(technique, images, out, hardware), f"weights={weights}", "metrics=[niqe]"]
        result = evaluate(composer("eval", *chosen, "hardware.matmul_precision=highest"), show=False)
        files = sorted(file for file in (out / "hr").rglob("*.png") if "kernel" not in file.name)
        found.append((np.stack([np.asarray(Image.open(file)) for file in files]).astype(int), result.values))
    (here, scores), (there, others) = found
    apart = np.abs(here - there)
    assert apart.max() <= (8 if technique == "moesr" else 1)
    assert apart.mean() < 0.02
    assert scores == pytest.approx(others, rel=1e-2, nan_ok=True)


@needs_gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_recorded_passes_train_what_plain_ones_do(
    composer: Composer, images: Path, tmp_path: Path, precision: str
) -> None:
    """DAN, whose training is recorded as CUDA graphs."""
    found = []
    for graphs in ("true", "false"):
        out = tmp_path / graphs
        chosen = [*settings("dan", images, out, DEVICE), f"trainer.precision={precision}"]
        train(composer("train", *chosen, f"hardware.cuda_graphs={graphs}", "hardware.matmul_precision=highest"))
        found.append(torch.load(next(out.rglob("last.ckpt")), map_location="cpu", weights_only=True)["state_dict"])
    recorded, plain = found
    # Adam moves every weight by about 4e-4 in each of the 8 steps, in either direction where its gradient is rounding.
    apart = torch.cat([(recorded[key] - value).abs().flatten() for key, value in plain.items() if value.ndim > 1])
    assert apart.mean() < (3e-4 if precision == "32-true" else 1e-3)


@needs_gpu
@pytest.mark.parametrize("technique", ["bicubic", "dan"])
def test_predicts_what_the_cpu_predicts(composer: Composer, images: Path, tmp_path: Path, technique: str) -> None:
    arguments = [f"technique={technique}", f"input={images}", "size=tiny", "hardware.matmul_precision=highest"]
    if technique == "dan":
        train(composer("train", *settings(technique, images, tmp_path / "cpu", "cpu")))
        arguments.append(f"weights={next((tmp_path / 'cpu').rglob('last.ckpt'))}")
    found = []
    for hardware in ("cpu", DEVICE):
        out = tmp_path / hardware
        predict(composer("predict", *arguments, f"hardware={hardware}", f"output={out}", "tile=48"))
        found.append(np.stack([np.asarray(Image.open(out / f"{n}.png")).astype(int) for n in range(4)]))
    assert np.abs(found[0] - found[1]).max() <= 1
