"""Is a training over several processes the same as one process's? technique x processes, with the largest differences.

    python benchmarks/ddp_equality.py [--processes 2 4] [--techniques dan fastgan] [--precisions 64-true]
    python benchmarks/ddp_equality.py --techniques moesr --settings technique.ken_double=false

Every technique is trained at tiny sizes with the same images a step, in one process and shared out over 2 and 4 (gloo,
CPU), in 32-bit and in 64-bit floats. Shown are the largest difference to one process of a step's loss, relative to the
largest loss of its kind, of a final weight, and the steps up to the first whose losses differ by more than 1e-5. To
compare with: one process that takes the images of each step in the opposite order (``--no-reversed`` leaves it out).
That changes nothing but the order in which sums are rounded, so it shows how much the training magnifies of that.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import octosr._torchvision  # noqa: F401

# isort: split
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from octosr.data.demo import build_demo
from octosr.data.standin import build_standins
from octosr.runs import train as training
from octosr.runs.processes import free_port

TECHNIQUES = ("dan", "moesr", "blindsr", "fastgan", "apa")
GENERATIVE = ("fastgan", "apa")
BATCH = 8
"""Images of a step, over all processes."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Of batch normalisation: each process keeps those of its own images."""
TOLERANCE = 1e-5
CONF = Path(__file__).resolve().parents[1] / "conf"


class Losses(pl.Callback):
    """The losses of every step: whatever a training step returns, as means over all processes."""

    def __init__(self) -> None:
        self.seen: list[list[float]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, *args: Any) -> None:
        """Take down the numbers of this step."""
        values = outputs.values() if isinstance(outputs, dict) else [outputs]
        here = torch.stack([v.detach().double().reshape(()) for v in values if isinstance(v, torch.Tensor)])
        self.seen.append([float(v) for v in trainer.strategy.reduce(here, reduce_op="mean")])


class Reversed(pl.Callback):
    """The images of every step in the opposite order."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Turn round what the training step is given."""
        step: Any = module.training_step
        module.training_step = lambda batch, *more: step(  # type: ignore[method-assign]
            {key: values.flip(0) for key, values in batch.items()}, *more
        )


@dataclass(frozen=True)
class Training:
    """What is trained, but for how many processes do it: ``micro`` images at a time, with these settings more."""

    technique: str
    micro: int
    precision: str
    settings: tuple[str, ...]
    data: Path


def run(what: Training, processes: int, folder: Path, backwards: bool = False) -> dict[str, Any]:
    """Train in so many forked processes; the losses and the final weights."""
    port = free_port()
    children = []
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            try:
                _train(what, processes, folder, rank, port, backwards)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    for child in children:
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit((folder / "log").read_text()[-3000:])
    losses = json.loads((folder / "losses.json").read_text())
    checkpoint = torch.load(folder / "checkpoints" / what.technique / "isaid" / "last.ckpt", weights_only=True)
    return {"losses": torch.tensor(losses, dtype=torch.float64), "weights": checkpoint["state_dict"]}


def _train(what: Training, processes: int, folder: Path, rank: int, port: int, backwards: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(processes)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    rank_zero_only.rank = rank
    settings = [f"technique={what.technique}", "dataset=isaid", "experiment=tiny", "logger=none"]
    settings += [f"data.root={what.data}", f"output_root={folder}", f"trainer.precision={what.precision}"]
    settings += [f"data.batch_size={BATCH // processes}"]
    settings += ["trainer.enable_progress_bar=false", "trainer.enable_model_summary=false", "callbacks.diversity=null"]
    settings += ["callbacks.image_logger=null", "callbacks.sample_grid=null"]
    settings += ["hardware=cpu"] if processes == 1 else ["hardware=ddp_cpu", f"trainer.devices={processes}"]
    # What one process does with all images at once, several do with theirs alone: statistics of a batch.
    if what.technique in GENERATIVE:
        settings += [f"technique.batch_gpu={what.micro}", f"technique.kimg={8 * BATCH / 1000}"]
    if what.technique == "blindsr":
        settings += ["trainer.max_steps=10"]  # all of its phases
    settings += what.settings
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", settings)
    losses, build = Losses(), training.build_callbacks
    ours = [losses, Reversed()] if backwards else [losses]
    training.build_callbacks = lambda *arguments: [*build(*arguments), *ours]
    training.train(cfg)
    if rank == 0:
        (folder / "losses.json").write_text(json.dumps(losses.seen))


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float | int]:
    """Largest difference of a loss (relative) and of a final weight; all steps, and those before losses part."""
    if one["losses"].shape != other["losses"].shape:
        raise SystemExit(f"{tuple(one['losses'].shape)} losses and {tuple(other['losses'].shape)}")
    losses = ((one["losses"] - other["losses"]).abs() / one["losses"].abs().amax(0)).amax(1)
    weight = max(
        float((value.double() - other["weights"][key].double()).abs().max())
        for key, value in one["weights"].items()
        if not key.endswith(STATISTICS)
    )
    apart = (losses > TOLERANCE).nonzero().flatten().tolist()
    return {"loss": float(losses.max()), "weight": weight, "steps": len(losses), "alike": (apart or [len(losses)])[0]}


def _line(row: dict[str, Any], micro: int) -> str:
    what = f"{row['processes']} x {micro} images" if row["other"] == "processes" else f"1 reversed, by {micro}"
    return (
        f"{row['technique']:8} {row['precision']} {what:16} loss {row['loss']:.1e}  weight {row['weight']:.1e}  "
        f"{row['alike']} of {row['steps']} steps within {TOLERANCE:g}"
    )


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--techniques", nargs="+", default=TECHNIQUES, choices=TECHNIQUES)
    parser.add_argument("--precisions", nargs="+", default=["64-true", "32-true"])
    parser.add_argument("--settings", nargs="+", default=[], help="more settings, as on train.py's command line")
    parser.add_argument("--reversed", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    torch.set_num_threads(1)  # threads do not survive a fork
    with tempfile.TemporaryDirectory() as name:
        folder, number = Path(name), itertools.count()
        build_standins(folder / "data", ["isaid"], build_demo(folder / "cache"), count=7)
        for technique, precision, processes in itertools.product(
            arguments.techniques, arguments.precisions, arguments.processes
        ):
            micro = BATCH // processes
            what = Training(technique, micro, precision, tuple(arguments.settings), folder / "data")
            one = run(what, 1, folder / f"{next(number)}")
            others = {"processes": run(what, processes, folder / f"{next(number)}")}
            if arguments.reversed and technique != "apa":  # whose path lengths are those of the first half of images
                others["reversed"] = run(what, 1, folder / f"{next(number)}", backwards=True)
            for kind, other in others.items():
                row = {"technique": technique, "processes": processes, "precision": precision, "other": kind}
                rows.append(row | differences(one, other))
                if not arguments.json:
                    print(_line(rows[-1], micro), flush=True)
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
