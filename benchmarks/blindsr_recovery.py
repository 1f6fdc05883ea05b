"""Does BlindSR find the blur of images that it was not trained on, and does it pay?

    python benchmarks/blindsr_recovery.py --train FOLDER --test FOLDER

Trains the demo sizes on the images of one folder (or takes the checkpoint that is there from an earlier start), reduces
images of the other with random anisotropic Gaussians, and reports for each way of searching

* the distance of the estimated covariance from the true one, beside that of always guessing the mean;
* PSNR of the generator given the estimated kernel, beside bicubic interpolation and the same generator given a wrong
  kernel (another image's), the mean one, and the true one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from recovery import TEST_IDS, distance, test_images, trained
from torch import Tensor

from octosr.degradation.aligned import trim
from octosr.degradation.rounding import quantise
from octosr.techniques.base import psnr_per_image
from octosr.techniques.blindsr.module import BlindSR
from octosr.techniques.blindsr.search import apply, super_resolve_stage
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.stage import BlindSRStage

SEARCHES = {"fast": {"preset": "fast"}, "grid only": {"preset": "fast", "steps": 0}, "paper": {"preset": "paper"}}


def report(stage: BlindSRStage, hr: Tensor, truth: Tensor, seed: int, searches: list[str]) -> None:
    """Estimate, super-resolve, print."""
    space = stage.space
    lr = quantise(space.degrade(hr, space.kernels(truth)))
    wanted = space.covariances(truth)
    others = space.draw(seed, torch.arange(TEST_IDS * 2, TEST_IDS * 2 + 20_000))
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


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="folder of training images")
    parser.add_argument("--test", type=Path, required=True, help="folder of other images")
    parser.add_argument("--output", type=Path, default=Path("outputs/blindsr_recovery"))
    parser.add_argument("--scale", type=int, choices=(2, 4), default=2)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--side", type=int, default=216, help="side of the HR test crops")
    parser.add_argument("--searches", nargs="+", choices=tuple(SEARCHES), default=["fast", "grid only"])
    parser.add_argument("overrides", nargs="*", help="config overrides of the training, e.g. technique.near_share=0")
    arguments = parser.parse_args()
    own = ["data.batch_size=8", "technique.generator_steps=2500", "technique.discriminator_steps=2500"]
    technique = trained("blindsr", arguments.train, arguments.output, arguments.scale, arguments.overrides, own)
    assert isinstance(technique, BlindSR)
    stage = technique.stage(arguments.scale)
    hr = test_images(arguments.test, arguments.images, arguments.side)
    truth = stage.space.draw(technique.drawing.seed, torch.arange(TEST_IDS, TEST_IDS + len(hr)))
    report(stage, hr, truth, technique.drawing.seed, arguments.searches)


if __name__ == "__main__":
    main()
