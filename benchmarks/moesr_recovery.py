"""Does MoESR find the blur of images that it was not trained on, and does it pay?

    python benchmarks/moesr_recovery.py --train FOLDER --test FOLDER

Trains the demo sizes on the images of one folder (or takes the checkpoint that is there from an earlier start), reduces
images of the other with random anisotropic Gaussians, and reports

* the distance of the estimated covariance from the true one, beside that of always guessing the mean;
* PSNR of bicubic interpolation; of the bank's expert nearest to the estimated kernel, as it is and fine-tuned; of the
  one nearest to a wrong kernel (another image's); and of the one nearest to the true kernel.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from recovery import TEST_IDS, distance, test_images, trained
from torch import Tensor

from octosr.degradation.aligned import covariances, strided_blur, trim
from octosr.degradation.rounding import quantise
from octosr.techniques.base import psnr_per_image
from octosr.techniques.moesr.finetune import FineTuning, fine_tune
from octosr.techniques.moesr.module import MoESR
from octosr.techniques.moesr.network import bicubic
from octosr.techniques.moesr.stage import MoESRStage


def psnr_of(stage: MoESRStage, lr: Tensor, hr: Tensor, parameters: Tensor, settings: FineTuning) -> Tensor:
    """PSNR of the expert nearest to the given kernels."""
    with torch.no_grad():
        sr = fine_tune(stage, lr, parameters, settings).clamp(0, 1)
    return psnr_per_image(sr, trim(hr, sr))


def main() -> None:
    """Train, estimate, super-resolve, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="folder of training images")
    parser.add_argument("--test", type=Path, required=True, help="folder of other images")
    parser.add_argument("--output", type=Path, default=Path("outputs/moesr_recovery"))
    parser.add_argument("--scale", type=int, choices=(2, 4), default=2)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--side", type=int, default=320, help="side of the HR test crops")
    parser.add_argument(
        "overrides", nargs="*", help="config overrides of the training, e.g. technique.ise_target=error"
    )
    arguments = parser.parse_args()
    own = ["data.batch_size=4"]
    technique = trained("moesr", arguments.train, arguments.output, arguments.scale, arguments.overrides, own)
    assert isinstance(technique, MoESR)
    stage = technique.stage(arguments.scale)
    hr = test_images(arguments.test, arguments.images, arguments.side)
    truth = stage.random_parameters(technique.seed, torch.arange(TEST_IDS, TEST_IDS + len(hr)))
    lr = quantise(strided_blur(hr, stage.kernels(truth), stage.scale))
    wanted = covariances(truth)
    mean = covariances(stage.random_parameters(technique.seed, torch.arange(TEST_IDS * 2, TEST_IDS * 2 + 20_000))).mean(
        0
    )

    print(f"{len(hr)} images, HR {arguments.side}, x{stage.scale}; covariance in HR pixels squared")
    print(f"always the mean                   error mean {distance(mean.expand_as(wanted), wanted).mean():.3f}")
    found = {}
    for name, crop in (
        ("whole images", None),
        (f"{technique.gate_crops} crops of {technique.gate_crop}", technique.gate_crop),
    ):
        found[name] = stage.estimate(lr, crop, technique.gate_crops).detach()
        errors = distance(covariances(found[name].double()), wanted)
        print(f"estimated on {name:20s} error mean {errors.mean():.3f}  median {errors.median():.3f}", flush=True)
    whole, cropped = (covariances(p.double()) for p in found.values())
    print(f"drift of crops from whole images        mean {distance(cropped, whole).mean():.3f}")

    estimated = found["whole images"]
    untuned = FineTuning(steps=0)
    baseline = bicubic(lr, stage.scale).clamp(0, 1)
    rows = {
        "bicubic": psnr_per_image(baseline, trim(hr, baseline)),
        "wrong kernel": psnr_of(stage, lr, hr, truth.roll(1, 0), untuned),
        "estimated kernel": psnr_of(stage, lr, hr, estimated, untuned),
        "true kernel": psnr_of(stage, lr, hr, truth, untuned),
        "wrong kernel, fine-tuned": psnr_of(stage, lr, hr, truth.roll(1, 0), technique.finetuning),
        "estimated kernel, fine-tuned": psnr_of(stage, lr, hr, estimated, technique.finetuning),
    }
    for name, values in rows.items():
        better = int((rows["estimated kernel"] > values).sum())
        print(f"PSNR {name:30s} {values.mean():.2f} dB   the estimated kernel is better on {better} of {len(values)}")


if __name__ == "__main__":
    main()
