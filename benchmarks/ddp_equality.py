"""Is a training over several processes the same as one process's? technique x processes, with the largest differences.

    python benchmarks/ddp_equality.py [--processes 2 4] [--techniques dan fastgan] [--precisions 64-true]

Every technique is trained at tiny sizes with the same images a step, in one process and shared out over 2 and 4 (gloo,
CPU), in 32-bit floats and, the generative ones, in 64-bit floats. Shown are the largest difference to one process of a
step's loss, relative to the largest loss of its kind, and of a final weight. In 32-bit floats sums are rounded in
another order, and Adam, which divides by the root of a gradient's square, can make parts of a step of that.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import traceback
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


def run(technique: str, processes: int, micro: int, precision: str, data: Path, folder: Path) -> dict[str, Any]:
    """Train in so many forked processes; the losses and the final weights."""
    port = free_port()
    children = []
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            try:
                _train(technique, processes, micro, precision, data, folder, rank, port)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    for child in children:
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit((folder / "log").read_text()[-3000:])
    losses = json.loads((folder / "losses.json").read_text())
    checkpoint = torch.load(folder / "checkpoints" / technique / "isaid" / "last.ckpt", weights_only=True)
    return {"losses": torch.tensor(losses, dtype=torch.float64), "weights": checkpoint["state_dict"]}


def _train(
    technique: str, processes: int, micro: int, precision: str, data: Path, folder: Path, rank: int, port: int
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(processes)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    rank_zero_only.rank = rank
    settings = [f"technique={technique}", "dataset=isaid", "experiment=tiny", "logger=none", f"data.root={data}"]
    settings += [f"output_root={folder}", f"trainer.precision={precision}", f"data.batch_size={BATCH // processes}"]
    settings += ["trainer.enable_progress_bar=false", "trainer.enable_model_summary=false", "callbacks.diversity=null"]
    settings += ["callbacks.image_logger=null", "callbacks.sample_grid=null"]
    settings += ["hardware=cpu"] if processes == 1 else ["hardware=ddp_cpu", f"trainer.devices={processes}"]
    # What one process does with all images at once, several do with theirs alone: statistics of a batch.
    settings += (
        [f"technique.batch_gpu={micro}", f"technique.kimg={8 * BATCH / 1000}"] if technique in GENERATIVE else []
    )
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", settings)
    losses, build = Losses(), training.build_callbacks
    training.build_callbacks = lambda *arguments: [*build(*arguments), losses]
    training.train(cfg)
    if rank == 0:
        (folder / "losses.json").write_text(json.dumps(losses.seen))


def compare(technique: str, processes: int, precision: str, data: Path, folder: Path) -> tuple[float, float, int]:
    """Largest difference of a loss (relative) and of a final weight to one process; and the number of steps."""
    micro = BATCH // processes
    place = folder / f"{technique}-{processes}-{precision}"
    one = run(technique, 1, micro, precision, data, place / "one")
    many = run(technique, processes, micro, precision, data, place / "many")
    if one["losses"].shape != many["losses"].shape:
        raise SystemExit(f"{technique}: {tuple(one['losses'].shape)} losses and {tuple(many['losses'].shape)}")
    loss = ((one["losses"] - many["losses"]).abs() / one["losses"].abs().amax(0)).max()
    weight = max(
        float((value.double() - many["weights"][key].double()).abs().max())
        for key, value in one["weights"].items()
        if not key.endswith(STATISTICS)
    )
    return float(loss), weight, len(one["losses"])


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--techniques", nargs="+", default=TECHNIQUES, choices=TECHNIQUES)
    parser.add_argument("--precisions", nargs="+", default=["64-true", "32-true"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    torch.set_num_threads(1)  # threads do not survive a fork
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_standins(folder / "data", ["isaid"], build_demo(folder / "cache"), count=7)
        for technique in arguments.techniques:
            for processes in arguments.processes:
                for precision in arguments.precisions if technique in GENERATIVE else ["32-true"]:
                    loss, weight, steps = compare(technique, processes, precision, folder / "data", folder)
                    row = {"technique": technique, "processes": processes, "precision": precision, "steps": steps}
                    rows.append(row | {"loss": loss, "weight": weight})
                    if not arguments.json:
                        print(
                            f"{technique:8} {processes} x {BATCH // processes} images  {precision}  {steps:2} steps  ",
                            end="",
                        )
                        print(f"loss {loss:.1e}  weight {weight:.1e}", flush=True)
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
