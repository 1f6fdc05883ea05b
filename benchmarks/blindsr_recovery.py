"""Does BlindSR find the blur of images that it was not trained on, and does it pay?

    python benchmarks/blindsr_recovery.py --train FOLDER --test FOLDER

Trains the demo sizes on the images of one folder (or takes the checkpoint that is there from an earlier start), reduces
images of the other with random anisotropic Gaussians, and reports for each way of searching

* the distance of the estimated covariance from the true one, beside that of always guessing the mean; ``calibrated``
  is the estimate that a trained stage gives, the others are searches for the kernel with the least predicted error;
* PSNR of the generator given the estimated kernel, beside bicubic interpolation and the same generator given a wrong
  kernel (another image's), the mean one, and the true one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from recovery import TEST_IDS, composed, distance, settings_of, test_images, trained
from torch import Tensor

from octosr.degradation.aligned import trim
from octosr.degradation.rounding import quantise
from octosr.runs.build import build_technique, plain
from octosr.techniques.base import psnr_per_image
from octosr.techniques.blindsr.module import BlindSR
from octosr.techniques.blindsr.search import apply, super_resolve_stage
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.stage import BlindSRStage
from octosr.techniques.blindsr.training import discriminator_loss, discriminator_losses, generator_loss

SEARCHES: dict[str, dict[str, Any]] = {
    "calibrated": {"preset": "fast"},
    "fast": {"preset": "fast", "calibration": "none"},
    "grid only": {"preset": "fast", "calibration": "none", "steps": 0},
    "paper": {"preset": "paper", "calibration": "none"},
}


def report(stage: BlindSRStage, hr: Tensor, truth: Tensor, seed: int, searches: list[str]) -> None:
    """Estimate, super-resolve, print."""
    space = stage.space
    lr = quantise(space.degrade(hr, space.kernels(truth)))
    wanted = space.covariances(truth)
    others = space.draw(seed, torch.arange(TEST_IDS * 2, TEST_IDS * 2 + 20_000)).to(hr.device)
    mean = space.covariances(others).mean(0).expand_as(wanted)
    print(f"{len(hr)} images, HR {hr.shape[-1]}, x{stage.scale}; covariance in HR pixels squared")
    print(f"always the mean     error mean {distance(mean, wanted).mean():.3f}")

    def psnr(images: Tensor) -> Tensor:
        images = images.clamp(0, 1)
        return psnr_per_image(images, trim(hr, images))

    rows = {
        "bicubic": psnr(stage.enlarge(lr)),
        "wrong kernel": psnr(apply(stage, lr, truth.roll(1, 0)).sr),
        "mean kernel": psnr(apply(stage, lr, space.parameters_of(mean)).sr),
        "true kernel": psnr(apply(stage, lr, truth).sr),
    }
    for name in searches:
        start = time.perf_counter()
        found = super_resolve_stage(stage, lr, Search.of(SEARCHES[name]))
        seconds = time.perf_counter() - start
        errors = distance(space.covariances(found.parameters), wanted)
        line = f"search {name:12s} error mean {errors.mean():.3f}  median {errors.median():.3f}   {seconds:.0f} s"
        print(line, flush=True)
        rows[f"search {name}"] = psnr(found.sr)
    for name, values in rows.items():
        better = int((rows[f"search {searches[0]}"] > values).sum())
        print(f"PSNR {name:18s} {values.mean():.2f} dB   search {searches[0]} is better on {better} of {len(values)}")


def affordable(settings: list[str], seconds: float) -> list[str]:
    """Lengths of both phases that together take about so long, from the time that some steps take."""
    cfg = composed("train", settings)
    technique = build_technique(plain(cfg.technique), cfg)
    assert isinstance(technique, BlindSR)
    device = torch.device("cpu" if cfg.hardware.name == "cpu" else "cuda")
    stage, batch = technique.to(device).all_stages()[0], int(cfg.data.batch_size)
    hr = torch.rand(batch, 3, technique.hr_patch, technique.hr_patch, device=device)
    found = []
    for name, share in (("generator", 0.5), ("discriminator", 0.5)):
        optimizer = torch.optim.Adam(technique.trained_network(stage, name).parameters())
        for step in range(25):
            if step == 5:
                start = _now(device)
            ids = torch.arange(step * batch, (step + 1) * batch, device=device)
            if name == "generator":
                loss = generator_loss(stage, hr, ids, technique.drawing)
            else:
                loss = discriminator_loss(discriminator_losses(stage, hr, ids, technique.drawing))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        # Lightning's own share of a step, of the order of milliseconds, is not in the measurement.
        each = 1.1 * (_now(device) - start) / 20 + 0.003
        found.append(f"technique.{name}_steps={max(1, round(share * seconds / each))}")
        print(f"{name}: {each:.4f} s a step; {found[-1]}", flush=True)
    return found


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="folder of training images")
    parser.add_argument("--test", type=Path, required=True, help="folder of other images")
    parser.add_argument("--output", type=Path, default=Path("outputs/blindsr_recovery"))
    parser.add_argument("--scale", type=int, choices=(2, 4), default=2)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--side", type=int, default=216, help="side of the HR test crops")
    parser.add_argument("--hardware", default="cpu", help="that trains and searches, e.g. gpu")
    parser.add_argument("--searches", nargs="+", choices=tuple(SEARCHES), default=["calibrated", "fast"])
    parser.add_argument("--seconds", type=float, help="about so long to train, in place of the steps given below")
    parser.add_argument("overrides", nargs="*", help="config overrides of the training, e.g. technique.near_share=0")
    arguments = parser.parse_args()
    steps = {"generator": 2500, "discriminator": 2500, "calibration": 200}
    own = ["data.batch_size=8", *(f"technique.{phase}_steps={count}" for phase, count in steps.items())]
    where = (arguments.train, arguments.output, arguments.scale)
    overrides = arguments.overrides
    if arguments.seconds:
        asked = [*settings_of("blindsr", *where, arguments.hardware), *own, *overrides]
        overrides = [*overrides, *affordable(asked, arguments.seconds)]
    technique = trained("blindsr", *where, overrides, own, arguments.hardware)
    assert isinstance(technique, BlindSR)
    device = torch.device("cpu" if arguments.hardware == "cpu" else "cuda")
    stage = technique.to(device).stage(arguments.scale)
    hr = test_images(arguments.test, arguments.images, arguments.side).to(device)
    truth = stage.space.draw(technique.drawing.seed, torch.arange(TEST_IDS, TEST_IDS + len(hr))).to(device)
    report(stage, hr, truth, technique.drawing.seed, arguments.searches)


if __name__ == "__main__":
    main()
