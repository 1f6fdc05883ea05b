"""Run by test_ddp.py in two gloo processes: every scenario in one start, because starting takes the time.

Writes OUT/rank0.json and OUT/rank1.json with what each process saw.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

import octosr._torchvision  # noqa: F401  (before anything that imports torchvision)

from pytorch_lightning.loggers import CSVLogger  # isort: skip
from pytorch_lightning.strategies import DDPStrategy  # isort: skip
from toy_training import Toy, ToyData, make_trainer

from octosr.callbacks.checkpoint import BestCheckpoint, LastCheckpoint
from octosr.callbacks.nan_guard import NanGuard
from octosr.callbacks.stopping import SignalStop
from octosr.callbacks.time_limit import TimeLimit
from octosr.errors import TrainingError

RANK = int(os.environ.get("LOCAL_RANK", "0"))
OUT = Path(sys.argv[1])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class UnevenData(ToyData):
    """Three validation images over two processes: two here, one there."""

    def val_dataloader(self) -> Any:
        self.val_batches = 2 - RANK
        return super().val_dataloader()


def fit(name: str, module: Toy, *callbacks: Any, **arguments: Any) -> dict[str, Any]:
    folder = OUT / name
    strategy = DDPStrategy(process_group_backend="gloo", find_unused_parameters=False, broadcast_buffers=False)
    saves = [BestCheckpoint(folder), LastCheckpoint(folder, every_n_steps=2)]
    logger = CSVLogger(folder, version="log")
    trainer = make_trainer(
        folder, [*callbacks, *saves], devices=2, strategy=strategy, logger=logger, log_every_n_steps=1, **arguments
    )
    error = ""
    try:
        trainer.fit(module, datamodule=UnevenData())
    except TrainingError as caught:
        error = str(caught)
    return {"steps": trainer.global_step, "seen": len(module.losses), "val": module.val_seen, "error": error}


def main() -> None:
    result: dict[str, Any] = {}
    result["uneven"] = fit("uneven", Toy(), TimeLimit(), SignalStop(), NanGuard(3))

    clock = Clock()  # only the second process runs out of time
    late = Toy(on_step=lambda _: clock.forward(10 if RANK == 1 else 1))
    result["time"] = fit("time", late, TimeLimit(total=55, margin=0, clock=clock), SignalStop())

    clock = Clock()  # only the first process runs out of time, within its first of two validation batches
    slow = Toy(on_val=lambda _: clock.forward(60 if RANK == 0 else 0))
    result["validation"] = fit("validation", slow, TimeLimit(total=50, margin=0, clock=clock), SignalStop())

    bad = Toy(loss_at={5: math.nan} if RANK == 1 else None)
    result["nan"] = fit("nan", bad, NanGuard(50))

    killed = Toy(on_step=lambda step: os.kill(os.getpid(), signal.SIGTERM) if RANK == 1 and step == 3 else None)
    result["signal"] = fit("signal", killed, SignalStop())
    (OUT / f"rank{RANK}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
