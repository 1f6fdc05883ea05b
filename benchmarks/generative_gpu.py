"""Training of FastGAN and APA on a GPU: images a second and memory, by precision, compiled or not, and straight.

    python benchmarks/generative_gpu.py                                 # fp32, bf16 and straight, 256 and 1024 pixels
    python benchmarks/generative_gpu.py --cases compiled --resolutions 1024   # minutes, most of them of the compiler
    python benchmarks/generative_gpu.py --device cpu --resolutions 64 --batch 2 --iterations 2 --warmup 1   # a trial

A case is a training composed as ``train.py`` composes it, on random images, and its own step is timed by Lightning's
loop: ``fp32`` with TF32, ``bf16`` in channels_last. ``straight`` is the same work without any rewrite
(``generative_straight.py``, 256 pixels and more) in 32-bit floats, TF32 allowed as in ``fp32``. LPIPS has a random
backbone: the work is the same. APA has the published settings of 1024 pixels there, with the batch of one of their
eight GPUs, and ``auto`` elsewhere; its figures are means over multiples of 16 iterations, in which each of its four
phases has its share. Memory is the peak that tensors took.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import octosr._torchvision  # noqa: F401

# isort: split
import numpy as np
import pytorch_lightning as pl
import torch
from generative_straight import straight_step
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from torchmetrics.functional.image.lpips import _LPIPS

from octosr.atomic import write_bytes
from octosr.runs.build import build, build_datamodule, build_technique, plain, prepare_hardware, quiet_lightning
from octosr.runs.family import length
from octosr.techniques.fastgan.module import FastGAN
from octosr.techniques.fastgan.reconstruction import Perceptual

CONF = Path(__file__).resolve().parents[1] / "conf"
LOW = ["hardware=gpu", "trainer.precision=bf16-mixed", "hardware.channels_last=true"]
CASES = {
    "fp32": ["hardware=gpu"],
    "bf16": LOW,
    "compiled": [*LOW, "hardware.compile=true"],
    "compiled32": ["hardware=gpu", "hardware.compile=true"],
    "straight": ["hardware=gpu"],
}
BATCH = {("fastgan", 1024): 8, ("apa", 1024): 4, ("fastgan", 256): 8, ("apa", 256): 16}
PERIOD = {"fastgan": 1, "apa": 16}


class Stopwatch:
    """Seconds and peak memory between two iterations.

    Args:
        device: waited for at both ends.
        warmup: iterations before the first end.
        iterations: between the two.
    """

    def __init__(self, device: torch.device, warmup: int, iterations: int) -> None:
        self.device, self.warmup, self.iterations = device, warmup, iterations
        self.seconds = self.gib = self.first = float("nan")
        self._began = time.perf_counter()

    def done(self, count: int) -> None:
        """So many iterations are done."""
        if count == 1:
            self.first = self._now() - self._began
        if count == self.warmup:
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            self._began = self._now()
        if count == self.warmup + self.iterations:
            self.seconds = self._now() - self._began
            self.gib = torch.cuda.max_memory_allocated() / 2**30 if self.device.type == "cuda" else float("nan")

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


class Watch(pl.Callback):
    """Tells a stopwatch of Lightning's steps."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        """A step is over."""
        self.stopwatch.done(int(args[-1]) + 1)


def config(technique: str, side: int, batch: int, case: str, folder: Path, device: str, images: int) -> DictConfig:
    """The config of a training; small steps on anything but a GPU."""
    overrides = [f"technique={technique}", "dataset=more/folder", f"dataset.path={folder}", *CASES[case]]
    overrides += [f"technique.resolution={side}", f"data.batch_size={batch}", f"technique.kimg={images / 1000}"]
    overrides += [f"output_root={folder.parent / 'out'}", "logger=none", "data.steps_per_epoch=1000000"]
    overrides += ["trainer.enable_progress_bar=false", "trainer.enable_model_summary=false"]
    overrides += ["trainer.enable_checkpointing=false"]
    if technique == "fastgan":
        overrides.append("technique.reconstruction=l1")  # replaced below: its file of weights is not needed for timing
    elif side == 1024:
        overrides.append("technique.cfg=paper1024")
    if device == "cpu":
        overrides.append("trainer.accelerator=cpu")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides)


def measure(cfg: DictConfig, case: str, stopwatch: Stopwatch) -> None:
    """Run a case."""
    torch.manual_seed(0)
    technique: Any = build_technique(plain(cfg.technique), cfg)
    lpips = _LPIPS(pretrained=True, net="vgg", pnet_rand=True).requires_grad_(False).eval()
    if isinstance(technique, FastGAN):
        technique._difference.append(Perceptual(copy.deepcopy(lpips)))  # it changes its network
    prepare_hardware(technique, cfg)
    if case == "straight":
        step: Callable[[int], None] = straight_step(technique, lpips, cfg.data.batch_size, stopwatch.device)
        for number in range(stopwatch.warmup + stopwatch.iterations):
            step(number)
            stopwatch.done(number + 1)
        return
    datamodule = build_datamodule(cfg, technique)
    datamodule.prepare_data()
    datamodule.setup("fit")
    settings = {"logger": False, "callbacks": [Watch(stopwatch)]}
    trainer: pl.Trainer = build(plain(cfg.trainer) | length(cfg, technique) | settings)
    trainer.fit(technique, datamodule=datamodule)


def main() -> None:
    """Measure, a line a case, each written to the file as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--techniques", nargs="+", choices=("fastgan", "apa"), default=["fastgan", "apa"])
    parser.add_argument("--resolutions", nargs="+", type=int, default=[256, 1024])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["fp32", "bf16", "straight"])
    parser.add_argument("--batch", type=int, help="unless each resolution's own")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=10, help="APA: made a multiple of 16")
    parser.add_argument("--json", type=Path, default=Path("generative_gpu.json"))
    args = parser.parse_args()
    quiet_lightning()
    logging.getLogger("octosr").setLevel(logging.WARNING)
    device = torch.device(args.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    print(f"{name}, torch {torch.__version__}")
    print("technique  side batch case        images/s   s/iteration   peak GiB   first step s", flush=True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (16, 128, 128, 3), dtype=np.uint8)):
            Image.fromarray(pixels).save(images / f"{number}.png")
        for side in args.resolutions:
            for technique in args.techniques:
                batch = args.batch or BATCH.get((technique, side), 4)
                count = -(-args.iterations // PERIOD[technique]) * PERIOD[technique]
                for case in args.cases:
                    shown = batch * (args.warmup + count)
                    cfg = config(technique, side, batch, case, images, args.device, shown)
                    stopwatch = Stopwatch(device, args.warmup, count)
                    error = ""
                    try:
                        measure(cfg, case, stopwatch)
                    except torch.cuda.OutOfMemoryError as full:
                        error = f"out of memory: {full}"
                    seconds = stopwatch.seconds / count
                    row = {"technique": technique, "resolution": side, "batch": batch, "case": case}
                    row |= {"images_per_second": batch / seconds, "seconds": seconds, "peak_gib": stopwatch.gib}
                    rows.append(row | {"first_seconds": stopwatch.first, "error": error})
                    print(
                        f"{technique:9} {side:5} {batch:5} {case:10} {batch / seconds:9.2f} {seconds:13.4f} "
                        f"{stopwatch.gib:10.2f} {stopwatch.first:14.1f} {error[:60]}", flush=True
                    )  # fmt: skip
                    record = {"device": name, "torch": torch.__version__, "arguments": vars(args), "rows": rows}
                    write_bytes(args.json, json.dumps(record, indent=1, default=str).encode())
                    if device.type == "cuda":
                        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
