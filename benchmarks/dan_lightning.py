"""Throughput of DAN's training and evaluation against a plain Lightning loop without caches, on one device.

    python benchmarks/dan_lightning.py --hr FOLDER --lr FOLDER --device cuda
    python benchmarks/dan_lightning.py --hr FOLDER --lr FOLDER --device cpu --tiny --steps 6 --images 4

Training: ``train.py``'s own function on a folder of HR images against ``Trainer.fit`` of the same technique on a
``DataLoader`` that opens an image file for every crop, as most public code does. Both degrade the crops in batches on
the device, so the difference is decoding, cutting and transfer, and on a GPU the recorded passes
(``hardware.cuda_graphs``). The first ``--warm-up`` steps do not count.

Evaluation: ``eval.py``'s own function, from image files to saved images and their NIQE, against ``Trainer.predict``
of the same technique on a ``DataLoader`` with one image a batch, each saved by Pillow, then read again and scored by
``--scorer``: ``pyiqa`` (the package's own function) or ``ours`` (one image at a time). What is the same for both and
happens once (building the network, reading the weights, imports) is left out where it can be: each side runs once on
two images before it is timed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import octosr._torchvision  # noqa: F401

# isort: split
import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from metrics_niqe import scorer
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from octosr.runs import train as training
from octosr.runs.build import build_technique, plain, prepare_hardware
from octosr.runs.evaluate import evaluate
from octosr.runs.weights import describe_technique, load_technique

CONF = Path(__file__).resolve().parents[1] / "conf"
QUIET = ("logger=none", "trainer.enable_progress_bar=false", "trainer.enable_model_summary=false")
ENDINGS = (".png", ".jpg", ".jpeg")


class Clock(pl.Callback):
    """Seconds from the end of step ``warm_up`` to the end of the training."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up, self.start, self.end = warm_up, 0.0, 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Look at the clock when the device is done."""
        if trainer.global_step in (self.warm_up, trainer.max_steps):
            wait()
            self.start, self.end = self.end, time.perf_counter()


class Crops(Dataset[dict[str, Tensor]]):
    """A crop of a file that is opened for it."""

    def __init__(self, files: list[Path], patch: int, length: int) -> None:
        self.files, self.patch, self.length = files, patch, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``hr`` (3, P, P) in [0, 1] and ``sample_id``."""
        image = read(self.files[index % len(self.files)])
        generator = np.random.default_rng(index)
        top, left = (int(generator.integers(0, side - self.patch + 1)) for side in image.shape[1:])
        crop = image[:, top : top + self.patch, left : left + self.patch]
        crop = crop.flip(-1) if generator.integers(2) else crop
        return {"hr": crop.float() / 255, "sample_id": torch.tensor(index)}


class Files(Dataset[dict[str, Any]]):
    """Whole images."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``lr`` (3, h, w) in [0, 1] and ``name``."""
        return {"lr": read(self.files[index]).float() / 255, "name": self.files[index].stem}


class PlainPrediction(pl.LightningModule):
    """Super-resolve, save."""

    def __init__(self, technique: Any, folder: Path) -> None:
        super().__init__()
        self.technique, self.folder = technique, folder

    def predict_step(self, batch: dict[str, Any], batch_idx: int = 0) -> None:
        """One image."""
        sr = self.technique.super_resolve(batch["lr"]).clamp(0, 1)
        for image, name in zip(sr, batch["name"], strict=True):
            pixels = (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            Image.fromarray(pixels).save(self.folder / f"{name}.png")


def read(file: Path) -> Tensor:
    """(3, H, W) uint8."""
    with Image.open(file) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def wait() -> None:
    """Until the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def files_of(folder: Path, count: int) -> list[Path]:
    """The first images of a folder and its subfolders."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS)[:count]


def composed(verb: str, settings: list[str]) -> DictConfig:
    """The configuration of a command."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(verb, settings)


def plain_trainer(cfg: DictConfig, **more: Any) -> pl.Trainer:
    """Lightning's own, on the device and in the precision of the configuration."""
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return pl.Trainer(accelerator=cfg.trainer.accelerator, devices=1, precision=cfg.trainer.precision, **(off | more))


def train_ours(cfg: DictConfig, clock: Clock) -> float:
    """Seconds of the timed steps of ``train.py``."""
    build = training.build_callbacks
    training.build_callbacks = lambda *arguments: [*build(*arguments), clock]  # type: ignore[assignment]
    try:
        training.train(cfg)
    finally:
        training.build_callbacks = build
    return clock.end - clock.start


def train_plain(cfg: DictConfig, clock: Clock, files: list[Path], workers: int) -> float:
    """Seconds of the same number of steps of a plain loop."""
    technique = build_technique(plain(cfg.technique), cfg)
    prepare_hardware(technique, cfg)
    technique.record_passes = False
    batch, steps = int(cfg.data.batch_size), int(cfg.trainer.max_steps)
    patch = technique.hr_patch
    crops = Crops(files, patch, batch * steps)
    pin = cfg.trainer.accelerator == "gpu"
    loader = DataLoader(crops, batch, shuffle=True, num_workers=workers, pin_memory=pin, drop_last=True)
    plain_trainer(cfg, max_steps=steps, callbacks=[clock]).fit(technique, loader)
    return clock.end - clock.start


def evaluate_plain(cfg: DictConfig, files: list[Path], folder: Path, workers: int, by: str) -> tuple[float, ...]:
    """Seconds until the images are saved, and until they are scored."""
    technique = load_technique(cfg, describe_technique(cfg)).eval()
    device = torch.device("cuda" if cfg.trainer.accelerator == "gpu" else "cpu")
    folder.mkdir(parents=True)
    start = time.perf_counter()
    plain_trainer(cfg).predict(PlainPrediction(technique, folder), DataLoader(Files(files), 1, num_workers=workers))
    saved = time.perf_counter()
    with torch.inference_mode():
        for file in files_of(folder, len(files)):
            float(scorer(by, read(file)[None].to(device).float() / 255)())
    return saved - start, time.perf_counter() - start


def compare_training(arguments: argparse.Namespace, settings: list[str], place: Path) -> None:
    """Print steps and crops a second, the best of the rounds."""
    files, steps = files_of(arguments.hr, 10**6), arguments.warm_up + arguments.steps
    best: dict[str, float] = {}
    for number in range(arguments.rounds):
        for side in ("plain", "ours, hardware.cuda_graphs=false", "ours"):
            own = [*settings, f"output_root={place / f'train{number}{len(side)}'}", f"dataset.path={arguments.hr}"]
            own += [f"trainer.max_steps={steps}", "data.max_validation=1", "callbacks.image_logger=null"]
            own += [side.partition(", ")[2]] if ", " in side else []
            cfg, clock = composed("train", own), Clock(arguments.warm_up)
            train = train_ours if side != "plain" else partial(train_plain, files=files, workers=arguments.workers)
            best[side] = min(best.get(side, 1e9), train(cfg, clock))
    for side, spent in best.items():
        rate = int(cfg.data.batch_size) * arguments.steps / spent
        print(
            f"train, {cfg.trainer.precision}: {arguments.steps / spent:6.2f} steps, {rate:7.1f} crops a second, "
            f"{best['plain'] / spent:.2f} times the plain loop: {side}",
            flush=True,
        )


def compare_evaluation(arguments: argparse.Namespace, settings: list[str], place: Path) -> None:
    """Print images a second, with NIQE."""
    weights = next(place.rglob("last.ckpt"))
    by = "niqe" if arguments.scorer == "ours" else "pyiqa"
    for count in (2, arguments.images):
        lr = place / f"lr{count}"
        lr.mkdir()
        files = []
        for n, file in enumerate(files_of(arguments.lr, count)):
            files.append(lr / f"{n:03}{file.suffix}")
            shutil.copy(file, files[-1])
        own = [*settings, f"weights={weights}", f"dataset.path={lr}", "metrics=[niqe]", "metrics.on_missing=error"]
        cfg = composed("eval", [*own, f"output_root={place / f'eval{count}'}"])
        start = time.perf_counter()
        evaluate(cfg, show=False)
        wait()
        ours = time.perf_counter() - start
        saved, scored = evaluate_plain(cfg, files, place / f"plain{count}", arguments.workers, by)
    print(
        f"eval, {cfg.trainer.precision}, {count} images: ours {count / ours:.2f} images a second with NIQE; plain "
        f"{count / scored:.2f} with NIQE by {arguments.scorer} ({count / saved:.2f} without): {scored / ours:.2f} times"
    )


def main() -> None:
    """Compare training, then evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hr", type=Path, required=True, help="images to train on, sides of at least 256")
    parser.add_argument("--lr", type=Path, required=True, help="images to enlarge")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", nargs="+", default=["32-true"])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4, help="of the plain loop's loaders")
    parser.add_argument("--scorer", choices=("pyiqa", "ours"), default="pyiqa")
    parser.add_argument("--tiny", action="store_true", help="the smallest networks, to try the script")
    arguments = parser.parse_args()
    for precision in arguments.precision:
        settings = ["technique=dan", "dataset=more/folder", *QUIET, f"trainer.precision={precision}"]
        settings += ["hardware=gpu" if arguments.device == "cuda" else "hardware=cpu"]
        settings += ["size=tiny"] if arguments.tiny else []
        with tempfile.TemporaryDirectory() as name:
            compare_training(arguments, settings, Path(name))
            compare_evaluation(arguments, settings, Path(name))


if __name__ == "__main__":
    main()
