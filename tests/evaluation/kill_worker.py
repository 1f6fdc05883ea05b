"""Scores small images in child processes and kills them (SIGKILL) at random moments; prints what came of it as JSON.

A script of its own: it forks, which must happen before torch has started any thread.

    python kill_worker.py FOLDER SEED
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from octosr.evaluation import table as table_module
from octosr.evaluation.saved import saved_images
from octosr.evaluation.scoring import score_images
from octosr.evaluation.table import ScoreTable
from octosr.metrics.base import Definition, ImageMetric, UnscorableImageError
from octosr.scores.store import ScoreStore

IMAGES, KILLS = 30, 10


class Brightness(ImageMetric):
    """Mean of an image; slow enough that a kill finds it at work."""

    higher_is_better = True
    default_name = "brightness"
    detail_names = ("darkest",)

    @property
    def definition(self) -> Definition:
        return {"version": 1}

    def _score_detailed(self, images: Tensor, reference: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        time.sleep(0.01)
        black = [n for n, image in enumerate(images) if image.max() == 0]
        if black:
            raise UnscorableImageError("black", black)
        flat = images.double().flatten(1)
        return flat.mean(1), {"darkest": flat.amin(1)}


class Brighter(Brightness):
    """How much brighter than its LR image an image is."""

    compares_with = "lr"
    default_name = "brighter"
    detail_names = ()

    def _check_reference(self, images: Tensor, reference: Tensor) -> None:
        assert len(images) == len(reference)

    def _score_detailed(self, images: Tensor, reference: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        assert reference is not None
        return images.double().flatten(1).mean(1) - reference.double().flatten(1).mean(1), {}


def make_images(folder: Path) -> None:
    generator = np.random.default_rng(0)
    for part, side in (("hr", 16), ("lr", 2)):
        (folder / part).mkdir(parents=True)
        for n in range(IMAGES):
            pixels = generator.integers(1, 256, (side, side + 8 * (n % 2), 3)).astype(np.uint8)
            Image.fromarray(pixels * (n != 5)).save(folder / part / f"im{n}.png")


def score(folder: Path, store: Path) -> int:
    """One scoring run; returns how many scores it had to make."""
    torch.set_num_threads(1)
    table_module.SAVE_SECONDS, table_module._SHARE = 0.0, 0  # save after every batch: most kills hit a save
    files = {part: {f"im{n}": folder / part / f"im{n}.png" for n in range(IMAGES)} for part in ("hr", "lr")}
    images, _ = saved_images(files["hr"], {"lr": files["lr"]})
    metrics: dict[str, ImageMetric] = {"brightness": Brightness(), "brighter": Brighter()}
    run = {"date": time.time()}
    table = ScoreTable(ScoreStore(store), "dan", "isaid", "study", images, metrics, run=run)
    score_images(images, metrics, table.todo(), table, batch_size=2)
    table.finish()
    return sum(table.computed.values())


def child(work: Callable[[], int], count: Path) -> int:
    """Run in a child process; what it returns goes to a file."""
    pid = os.fork()
    if pid:
        return pid
    try:
        count.write_text(str(work()))
        os._exit(0)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)


def finish(folder: Path, store: Path) -> int:
    count = store.with_suffix(".count")
    _, status = os.waitpid(child(lambda: score(folder, store), count), 0)
    assert status == 0
    return int(count.read_text())


def killed(folder: Path, store: Path, after: float) -> bool:
    """Start a run and kill it; returns whether it was still running."""
    pid = child(lambda: score(folder, store), store.with_suffix(".count"))
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def content(store: Path) -> list[object]:
    """What must be equal: the whole CSV, and the sidecar but for the runs and what refers to them."""
    path = ScoreStore(store).path("dan", "isaid")
    sidecar = json.loads(path.with_suffix(".json").read_bytes())
    for key in ("runs", "checksum"):
        del sidecar[key]
    for metric in sidecar["metrics"].values():
        del metric["made_by"]
    names = sorted(file.name for file in path.parent.iterdir())
    return [path.read_bytes().decode(), sidecar, names]


def main(folder: Path, seed: int) -> None:
    random.seed(seed)
    make_images(folder)
    started = time.monotonic()
    total = finish(folder, folder / "whole")
    seconds = time.monotonic() - started
    expected = content(folder / "whole")
    again, repeated, equal = [], 0, []
    for trial in range(KILLS):
        store = folder / f"trial{trial}"
        repeated += killed(folder, store, random.uniform(0, 0.7 * seconds))
        again.append(finish(folder, store))
        equal.append(content(store) == expected)
    store = folder / "often"
    often = sum(killed(folder, store, random.uniform(0, seconds / 3)) for _ in range(KILLS))
    again_often = finish(folder, store)
    equal.append(content(store) == expected)
    two = [child(lambda: score(folder, folder / "two"), folder / f"two{n}.count") for n in range(2)]
    codes = [os.waitpid(pid, 0)[1] for pid in two]
    equal.append(codes == [0, 0] and content(folder / "two") == expected)
    table = expected[0]
    result = {
        "total": total,
        "rows": str(table).count("\n") - 1,
        "killed": repeated,
        "again": again,
        "killed_often": often,
        "again_often": again_often,
        "equal": equal,
        "nothing_left": finish(folder, folder / "two"),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
