"""The machine: cores, memory, disk, GPUs, SLURM."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata, util
from pathlib import Path

from octosr.runs.doctor.finding import Report

GIB = 2**30
LITTLE_DISK = 10 * GIB
"""One technique's 1400 images of 1024x1024 and its checkpoints take about so much."""
ENOUGH_MEMORY = 4 * GIB
CELLS = ("train", "eval", "predict", "matrix")
INSTALL = "pip install -c constraints.txt torch torchvision (or: make setup)"


def examine_machine(report: Report, output_root: Path, data_root: Path) -> None:
    """Everything that is no package and no file of ours."""
    report.ok("system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    report.ok("CPU", f"{usable} cores, {platform.machine()}")
    for name, folder in (("disk for output_root", output_root), ("disk for data.root", data_root)):
        _disk(report, name, folder)
    _slurm(report)


def _disk(report: Report, topic: str, folder: Path) -> None:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    text = f"{free / GIB:.0f} GiB free at {there}"
    if topic == "disk for output_root" and not os.access(there, os.W_OK):
        report.missing(topic, f"{there} cannot be written", "output_root=FOLDER", *CELLS, "report")
    elif topic == "disk for output_root" and free < LITTLE_DISK:
        report.note(topic, f"{text}: little for the whole study", "output_root=FOLDER on another disk")
    else:
        report.ok(topic, text)


def _slurm(report: Report) -> None:
    sinfo = shutil.which("sinfo")
    if sinfo is None:
        report.note("SLURM", "not here (no sinfo)")
        return
    try:
        asked = subprocess.run([sinfo, "-h", "-o", "%P %D %G"], capture_output=True, text=True, timeout=15, check=False)
    except subprocess.TimeoutExpired:
        report.note("SLURM", "sinfo does not answer")
        return
    if asked.returncode:
        report.note("SLURM", f"installed, but no cluster answers: {asked.stderr.strip().partition(chr(10))[0]}")
        return
    report.ok("SLURM", "; ".join(line.strip() for line in asked.stdout.splitlines()) or "no partition")
    if util.find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        report.note(
            "hydra-submitit-launcher", "not installed: no hydra/launcher=submitit_slurm", "pip install 'octosr[slurm]'"
        )


def examine_memory(report: Report) -> None:
    """Free memory, within the limits of a container."""
    with report.surviving("memory", INSTALL, *CELLS):
        from octosr.data.memory import available_bytes

        free = available_bytes()
        if free is None:
            report.note("memory", "the system does not tell")
        elif free < ENOUGH_MEMORY:
            report.note(
                "memory", f"{free / GIB:.1f} GiB free: little; data.batch_size=1 data.eval_batch_size=1 need least"
            )
        else:
            report.ok("memory", f"{free / GIB:.1f} GiB free")


def examine_torch(report: Report) -> None:
    """PyTorch, its GPUs, and whether its sibling fits."""
    with report.surviving("torch", INSTALL, *CELLS):
        import torch

        report.ok("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")
        if torch.cuda.is_available():
            for number in range(torch.cuda.device_count()):
                about = torch.cuda.get_device_properties(number)
                bf16 = "bf16" if about.major >= 8 else "no bf16: precision=16-mixed, hardware=v100x4"
                report.ok(f"GPU {number}", f"{about.name}, {about.total_memory / GIB:.0f} GiB, {bf16}")
        else:
            _why_no_gpu(report, torch.version.cuda)
    with report.surviving("torchvision", INSTALL, *CELLS):
        import octosr._torchvision as shim

        declared = shim._library is not None
        import torchvision

        how = ", built for CUDA beside a torch without it: two operators declared" if declared else ", fits"
        report.ok("torchvision", f"{torchvision.__version__}{how}")
    with report.surviving("Lightning", "pip install -c constraints.txt pytorch-lightning", *CELLS):
        import pytorch_lightning

        report.ok("Lightning", f"{pytorch_lightning.__version__}, torchmetrics {metadata.version('torchmetrics')}")


def _why_no_gpu(report: Report, built_for: str | None) -> None:
    if shutil.which("nvidia-smi") is None:
        report.note("GPU", "none: hardware=cpu; DAN trains in days here, bicubic and the metrics take minutes")
    elif built_for is None:
        report.note("GPU", "there, but this torch is built for the CPU", "pip install --force-reinstall torch==2.13.0")
    else:
        report.note("GPU", f"not usable: torch is built for CUDA {built_for}; nvidia-smi shows which the driver allows")
