"""Images a second of DAN, x2 then x4, from PNG files of 128x128 to ones of 1024x1024: predict.py and the public loop.

    python benchmarks/dan_predict.py --upstream PATH_OF_A_CLONE_OF_greatlog/DAN
    python benchmarks/dan_predict.py                                   # the same loop and network written out, no clone
    python benchmarks/dan_predict.py --device cuda --turns 3
    python benchmarks/dan_predict.py --images 4 --turns 2              # on a CPU, where an image takes seconds

Same sizes and random weights. The public loop (``inference.py``) reads an image with OpenCV, enlarges it, computing and
keeping what every iteration gives, and writes it with OpenCV, one image after the other. Ours is what predict.py calls
once the network is built, :func:`octosr.prediction.flow.enlarge_all`: decoding, batches, encoding, hashes and journal
included. All take turns on all images, so that a busy machine slows all; of the turns' ratios the median is told.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from dan_plain import networks, public_loop
from PIL import Image

from octosr.prediction.enlarge import Settings
from octosr.prediction.flow import enlarge_all
from octosr.prediction.formats import suffix_of
from octosr.prediction.inputs import find_jobs
from octosr.prediction.journal import Journal
from octosr.techniques.dan.module import DAN


class Quiet:
    """Watches and says nothing, see ``octosr.prediction.flow.Watcher``."""

    def begin(self, jobs: object) -> None:
        """Nothing."""

    def advance(self, done: int, total: int) -> None:
        """Nothing."""

    def end(self, job: object, made: object) -> None:
        """Nothing."""

    def fail(self) -> None:
        """Nothing."""


def make_pictures(folder: Path, count: int, side: int) -> None:
    """LR images with flat and with busy parts."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.int16)
        grain = random.integers(-25, 26, smooth.shape) * (smooth > 128)
        Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(folder / f"{number:03}.png")


def our_predict(technique: DAN, folder: Path, output: Path, batch_size: int | None) -> None:
    """A folder of images as predict.py enlarges it."""
    jobs = find_jobs([str(folder)], output, lambda path: suffix_of(path, "auto"))
    problems = enlarge_all(jobs, technique, Settings(batch_size=batch_size), Journal(output, "benchmark", {}), Quiet())
    if problems:
        raise SystemExit(f"{len(problems)} images failed: {problems[0]}")


def largest_difference(one: Path, other: Path) -> tuple[int, float]:
    """Of the 8-bit values of two folders' images, and the share of values that differ."""
    worst, differing, total = 0, 0, 0
    for name in sorted(path.name for path in one.iterdir()):
        with Image.open(one / name) as a, Image.open(other / name) as b:
            distance = np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16))
        worst, differing = max(worst, int(distance.max())), differing + int((distance > 0).sum())
        total += distance.size
    return worst, differing / total


def timed(run: Callable[[], None], device: torch.device, clock: Callable[[], float]) -> float:
    """Seconds of a call, with the device's work before and after it done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = clock()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


def read_options() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", type=Path, help="a clone of github.com/greatlog/DAN; without: a plain loop")
    parser.add_argument("--images", type=int, default=100, help="in a turn")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--warm-up", type=int, help="images of a turn before; by default 1 on a CPU, 20 on a GPU")
    parser.add_argument("--batch-size", nargs="+", default=["auto"], help="auto, or numbers; several: all are measured")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's seconds instead of the clock's")
    return parser.parse_args()


def measure(options: argparse.Namespace, name: str, root: Path) -> dict[str, list[float]]:
    """Seconds of every way in every turn; results lie in ``root / WAY-TURN``."""
    device = torch.device(options.device)
    stages, ours = networks(options.upstream, device)
    clock = time.process_time if options.cpu_time else time.perf_counter
    warm_up = options.warm_up if options.warm_up is not None else 20 if device.type == "cuda" else 1

    def run(way: str, folder: Path, output: Path) -> None:
        if way == name:
            public_loop(stages, sorted(folder.iterdir()), output, device)
        else:
            our_predict(ours, folder, output, None if way == "auto" else int(way))

    ways = [name, *options.batch_size]
    make_pictures(root / "few", warm_up, options.side)
    make_pictures(root / "in", options.images, options.side)
    if warm_up:
        for way in ways:
            run(way, root / "few", root / f"{way}-few")
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(options.turns):
        for way in ways:
            work = partial(run, way, root / "in", root / f"{way}-{turn}")
            seconds[way].append(timed(work, device, clock))
    return seconds


def main() -> None:
    """Print images a second and ratios."""
    options = read_options()
    torch.set_num_threads(options.threads)
    name = "plain loop" if options.upstream is None else "public loop"
    on = torch.cuda.get_device_name() if options.device.startswith("cuda") else f"{options.threads} threads"
    side, count = options.side, options.images
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        seconds = measure(options, name, root)
        print(f"DAN v2, x2 then x4, {side}x{side}, {count} images, {options.turns} turns, {on}")
        for way, found in seconds.items():
            shown = way if way == name else f"predict batch_size={way}"
            ratio = median(theirs / ours for theirs, ours in zip(seconds[name], found, strict=True))
            said = f"  {shown:<24} {count / median(found):8.3f} images a second, {ratio:.2f} times the {name}"
            if way != name:
                worst, share = largest_difference(root / f"{name}-0", root / f"{way}-0")
                said += f"; 8-bit values differ by at most {worst}, {share:.3%} of them at all"
            print(said)


if __name__ == "__main__":
    main()
