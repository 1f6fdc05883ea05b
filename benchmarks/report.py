"""How long a full report takes and how much memory: ``python benchmarks/report.py [--images]``.

Makes a score store of the study's size (5 techniques x 14 datasets x 100 images, 3 metrics; random scores around the
published means), runs ``python report.py`` on it as it is typed, and prints wall time, processor time and peak memory.
With ``--images`` every score has its 1024x1024 image and every dataset its LR images (a few different pictures under
7,000 names), so that the image explorer has all its work to do. No network; nothing is left behind.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from octosr.catalog import COUNT, DATASETS, TECHNIQUES
from octosr.scores.store import ScoreStore
from octosr.study.names import is_generative

ROOT = Path(__file__).resolve().parents[1]
PICTURES = 10
METRICS = {"niqe": False, "maniqa": True, "topiq_nr": True}


def make_scores(root: Path) -> None:
    """Random scores, correlated over techniques as real ones are: some images are harder than others."""
    generator = np.random.default_rng(0)
    for dataset in DATASETS:
        hardness = generator.normal(size=COUNT)
        for offset, technique in enumerate(TECHNIQUES):
            noise = generator.normal(size=(3, COUNT))
            table = pd.DataFrame({"image": names(technique), "sha256": [f"{i:064x}" for i in range(COUNT)]})
            table["niqe"] = 15 + 0.5 * offset + hardness + 0.6 * noise[0]
            table["maniqa"] = 0.6 - 0.03 * offset - 0.05 * hardness + 0.03 * noise[1]
            table["topiq_nr"] = 0.5 - 0.02 * offset - 0.04 * hardness + 0.05 * noise[2]
            definitions = {metric: {"version": "benchmark"} for metric in METRICS}
            ScoreStore(root / "scores").write(
                technique, dataset, table, definitions, {"kind": "folder"}, higher_is_better=METRICS
            )


def names(technique: str) -> list[str]:
    return [f"seed{i:04}" if is_generative(technique) else f"im{i:03}" for i in range(COUNT)]


def make_images(root: Path, data: Path) -> None:
    """A few smooth pictures with grain, each under many names (hard links)."""
    generator = np.random.default_rng(0)
    sources = root / "pictures"
    sources.mkdir()
    for number in range(PICTURES):
        coarse = Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        for side in (128, 1024):
            pixels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.int16)
            grain = generator.integers(-4, 5, pixels.shape, dtype=np.int16)
            Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(sources / f"{side}-{number}.png")
    for dataset in DATASETS:
        folders = {data / dataset: (128, "dan")} | {root / "hr" / t / dataset: (1024, t) for t in TECHNIQUES}
        for folder, (side, technique) in folders.items():
            folder.mkdir(parents=True)
            for number, name in enumerate(names(technique)):
                os.link(sources / f"{side}-{number % PICTURES}.png", folder / f"{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", action="store_true", help="with an image for every score")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, data = Path(folder) / "outputs", Path(folder) / "data"
        make_scores(root)
        if arguments.images:
            make_images(root, data)
        command = [sys.executable, str(ROOT / "report.py"), f"output_root={root}", f"data.root={data}"]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        wall = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        scores = len(METRICS) * COUNT * len(DATASETS) * len(TECHNIQUES)
        print(f"{scores} scores{' with images' if arguments.images else ''}, {os.cpu_count()} cores:")
        print(f"{wall:.1f} s wall, {used.ru_utime + used.ru_stime:.1f} s processor, {peak / 1e6:.0f} MB at most")


if __name__ == "__main__":
    main()
