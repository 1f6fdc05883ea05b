"""How many processes a run wants, and who has started those that there are: nobody yet, torchrun, or SLURM."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import DictConfig, OmegaConf

from octosr.errors import ConfigError

OVER_NODES = (
    "The processes of several nodes are started by torchrun on each of them, or by SLURM "
    "(-m hydra/launcher=submitit_slurm); see docs/cluster.md."
)


def processes_wanted(cfg: DictConfig) -> int:
    """How many processes the hardware settings ask for on one machine."""
    strategy, devices = cfg.trainer.strategy, cfg.trainer.devices
    if isinstance(strategy, str) and any(word in strategy for word in ("spawn", "fork", "notebook")):
        return 1  # such a strategy makes its processes by itself, out of this one
    if OmegaConf.is_config(devices):
        return len(devices)
    text = str(devices)
    if "," in text:
        return len([part for part in text.split(",") if part.strip()])
    if text not in ("auto", "-1"):
        return int(text)
    if cfg.trainer.accelerator == "cpu":
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def in_slurm() -> bool:
    """Whether SLURM has started this process as a task of a job, as Lightning decides it."""
    return "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")


def started_elsewhere() -> bool:
    """Whether this process is one of those that torchrun, SLURM or the like have started for a run."""
    return in_slurm() or "TORCHELASTIC_RUN_ID" in os.environ or "LOCAL_RANK" in os.environ


def check_allocation(cfg: DictConfig) -> None:
    """Compare the processes that the hardware settings want with those that were started.

    Raises:
        ConfigError: they differ, so that some would wait for others that never come.
    """
    here, nodes = processes_wanted(cfg), int(cfg.trainer.num_nodes)
    if in_slurm():
        there, who = int(os.environ["SLURM_NTASKS"]), "this SLURM job has"
        remedy = (
            f"Ask for them with `sbatch --nodes={nodes} --ntasks-per-node={here}` and begin the command with srun, or "
            "let -m hydra/launcher=submitit_slurm do both. (A job named 'interactive' is taken for a plain shell.)"
        )
    elif "TORCHELASTIC_RUN_ID" in os.environ:
        there, who = int(os.environ["WORLD_SIZE"]), "torchrun has started"
        remedy = f"Give it --nnodes={nodes} --nproc-per-node={here}, or set trainer.num_nodes and trainer.devices."
    elif nodes > 1 and "LOCAL_RANK" not in os.environ:
        there, who, remedy = 1, "there is", OVER_NODES
    else:
        return
    if there != here * nodes:
        raise ConfigError(
            f"hardware={cfg.hardware.name} wants {count(here * nodes)} (trainer.devices={cfg.trainer.devices} on each "
            f"of trainer.num_nodes={nodes}), but {who} {count(there)}. {remedy}"
        )


def count(processes: Any) -> str:
    """``1 process``, ``2 processes``."""
    return f"{processes} process{'es' if processes != 1 else ''}"
