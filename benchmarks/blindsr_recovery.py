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

import octosr._torchvision  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from torch import Tensor

from octosr.degradation.aligned import trim
from octosr.degradation.rounding import quantise
from octosr.runs.train import train
from octosr.runs.weights import describe_technique, load_technique
from octosr.techniques.base import psnr_per_image
from octosr.techniques.blindsr.module import BlindSR
from octosr.techniques.blindsr.search import apply, super_resolve_stage
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.stage import BlindSRStage

TEST_IDS = 2**41
"""Ids of the test kernels: no training sample has them."""
SEARCHES = {"fast": {"preset": "fast"}, "grid only": {"preset": "fast", "steps": 0}, "paper": {"preset": "paper"}}


def trained(folder: Path, output: Path, scale: int, overrides: list[str]) -> BlindSR:
    """The demo-size BlindSR of one stage, trained on a folder."""
    conf = Path(__file__).resolve().parents[1] / "conf"
    settings = [
        "technique=blindsr", "size=demo", f"technique.stages=[{scale}]", f"scale={scale}", "dataset=more/folder",
        f"dataset.path={folder}", f"output_root={output}", "hardware=cpu", "logger=csv", "data.batch_size=8",
        "technique.generator_steps=2500", "technique.discriminator_steps=2500",
    ]  # fmt: skip
    with initialize_config_dir(str(conf), version_base="1.3"):
        if not (output / "checkpoints/blindsr/folder/last.ckpt").is_file():
            train(compose("train", [*settings, *overrides]))
        cfg = compose("eval", settings)
    technique = load_technique(cfg, describe_technique(cfg))
    assert isinstance(technique, BlindSR)
    return technique.eval()


def test_images(folder: Path, count: int, side: int) -> Tensor:
    """Centre crops of images evenly spaced in a folder's order, (N, 3, side, side)."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    images = []
    for n in range(count):
        picture = np.asarray(Image.open(files[n * len(files) // count]).convert("RGB"))
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        if min(top, left) < 0:
            raise SystemExit(f"{files[n * len(files) // count]} has a side below {side} pixels: give a smaller --side.")
        images.append(torch.from_numpy(picture[top : top + side, left : left + side].copy()).permute(2, 0, 1))
    return torch.stack(images).float() / 255


def distance(estimated: Tensor, truth: Tensor) -> Tensor:
    """Frobenius distance of covariances (N, 2, 2), in HR pixels squared."""
    return (estimated.double() - truth).square().sum((1, 2)).sqrt()


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
    technique = trained(arguments.train, arguments.output, arguments.scale, arguments.overrides)
    stage = technique.stage(arguments.scale)
    hr = test_images(arguments.test, arguments.images, arguments.side)
    truth = stage.space.draw(technique.drawing.seed, torch.arange(TEST_IDS, TEST_IDS + len(hr)))
    report(stage, hr, truth, technique.drawing.seed, arguments.searches)


if __name__ == "__main__":
    main()
