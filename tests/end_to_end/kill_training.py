"""Trains a cell once in peace and once killed -9 again and again; prints what came of it as JSON.

    python kill_training.py FOLDER DATA KILLS SEED TECHNIQUE [SETTING ...]

Each start is a process of its own, forked from this one, so that the seconds of importing are spent once.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import octosr._torchvision  # noqa: F401

# isort: split
import torch
from hydra import compose, initialize_config_dir

from octosr.runs.train import train

ROOT = Path(__file__).resolve().parents[2]
FOLDER, DATA, KILLS, SEED, TECHNIQUE = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
COMPARED = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "global_step", "octosr", "callbacks")
COUNTS = r"\.total\.|\.epoch_progress\."
NEVER = float("inf")
TIMES = ("TimeLimit",)
"""Callbacks whose state is the time used."""


def start(out: Path) -> int:
    """Begin or go on with the training in a new process."""
    pid = os.fork()
    if pid:
        return pid
    log = os.open(FOLDER / f"{out.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    shared = [f"technique={TECHNIQUE}", "dataset=isaid", "experiment=tiny", "logger=none", f"data.root={DATA}"]
    quiet = ["trainer.enable_progress_bar=false", "trainer.enable_model_summary=false", "callbacks.image_logger=null"]
    quiet += ["callbacks.sample_grid=null", "callbacks.diversity=null", "callbacks.last.every_n_steps=2"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", [*shared, *quiet, f"output_root={out}", *sys.argv[6:]])
    train(cfg)
    os._exit(0)


def written(out: Path) -> int:
    """When the last checkpoint was written; 0 if there is none."""
    path = out / "checkpoints" / TECHNIQUE / "isaid" / "last.ckpt"
    return path.stat().st_mtime_ns if path.is_file() else 0


def state(out: Path) -> dict[str, Any]:
    """All that training goes on from, less the time used."""
    content = torch.load(out / "checkpoints" / TECHNIQUE / "isaid" / "last.ckpt", weights_only=True)
    kept = {key: content.get(key) for key in COMPARED}
    kept["callbacks"] = {k: v for k, v in kept["callbacks"].items() if not k.startswith(TIMES)}
    return kept | {"data": content.get("ImageDataModule")}


def differences(a: Any, b: Any, name: str = "") -> list[str]:
    """Where two nested values are not the same, bit for bit."""
    if isinstance(a, torch.Tensor):
        return [] if isinstance(b, torch.Tensor) and torch.equal(a, b) else [name]
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [found for key in a for found in differences(a[key], b[key], f"{name}.{key}")]
    if isinstance(a, list | tuple) and len(a) == len(b):
        return [found for i, (x, y) in enumerate(zip(a, b, strict=True)) for found in differences(x, y, f"{name}.{i}")]
    return [] if a == b else [name]


def main() -> None:
    chance = random.Random(SEED)
    begun = time.monotonic()
    _, status = os.waitpid(start(FOLDER / "whole"), 0)
    seconds = time.monotonic() - begun
    assert status == 0, (FOLDER / "whole.log").read_text()[-3000:]
    expected, kills, resumes, found = state(FOLDER / "whole"), 0, 0, []
    for turn in range(100):
        if kills >= KILLS:
            break
        out, ended = FOLDER / f"killed{turn}", False
        while not ended:
            before = written(out)
            pid = start(out)
            resumes += before > 0
            # A moment of the whole, most of which is the beginning; more often one after something was written anew.
            early = chance.random() < 0.25
            deadline = time.monotonic() + chance.uniform(0, 0.5) * seconds if early else NEVER
            while not ended and time.monotonic() < deadline:
                done, status = os.waitpid(pid, os.WNOHANG)
                ended = done == pid
                if kills >= KILLS:
                    deadline = NEVER
                elif deadline == NEVER and written(out) > before:
                    deadline = time.monotonic() + chance.uniform(0, 0.7)
                time.sleep(0.002)
            if not ended:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                kills += 1
            else:
                assert status == 0, (FOLDER / f"{out.name}.log").read_text()[-3000:]
        # Lightning's counts of what was ever begun differ, e.g. of an epoch that was entered twice: its own affair.
        found += [name for name in differences(expected, state(out)) if not re.search(COUNTS, name)]
    print(json.dumps({"kills": kills, "resumes": resumes, "runs": turn, "different": found, "seconds": seconds}))


if __name__ == "__main__":
    main()
