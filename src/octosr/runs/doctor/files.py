"""Files: datasets, weights of metrics and techniques, checkpoints, and the key of W&B."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from importlib import metadata, util
from pathlib import Path

from octosr.catalog import COUNT, DATASETS
from octosr.errors import OctoSRError
from octosr.runs.doctor.finding import Report
from octosr.typed import typed

PACKAGES = {
    "pyiqa": ("octosr[iqa]", "eval"),
    "timm": ("octosr[iqa]", "eval"),
    "jinja2": ("octosr[report]", "report"),
    "matplotlib": ("octosr[report]", "report"),
    "scikit_posthocs": ("octosr[report]", "report"),
    "skimage": ("octosr[demo]", "demo"),
    "sklearn": ("octosr[demo]", "demo"),
    "pywt": ("octosr[demo]", "demo"),
    "cartopy": ("octosr[demo]", "demo"),
}
"""Package -> what brings it, and the command that needs it."""


def examine_packages(report: Report) -> None:
    """Packages that some commands need."""
    for name, (extra, command) in PACKAGES.items():
        if util.find_spec(name) is None:
            report.missing(name, "not installed", f"pip install '{extra}'", command)
    there = [name for name in PACKAGES if util.find_spec(name) is not None]
    if there:
        report.ok("optional packages", ", ".join(there))


def examine_datasets(report: Report, data_root: Path) -> None:
    """Which of the 14 are there, of which kind, and how many images."""
    with report.surviving("datasets", "make setup", "train", "eval", "matrix"):
        from octosr.data.locate import locate

        counts: dict[str, str] = {}
        kinds: Counter[str] = Counter()
        for name in DATASETS:
            try:
                found = locate(name, data_root)
            except OctoSRError as error:
                if "more than one place" in str(error) or "share" in str(error):
                    report.missing(f"dataset {name}", str(error).partition("\n")[0], "mend the folder", "train", "eval")
                continue
            kinds["stand-in" if found.standin else "study"] += 1
            counts[name] = f"{name} {len(found.lr)}" + ("" if len(found.lr) == COUNT else f" of {COUNT}")
        missing = [name for name in DATASETS if name not in counts]
        said = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        if counts:
            report.ok(
                "datasets", f"{len(counts)} of {len(DATASETS)} in {data_root} ({said}): {', '.join(counts.values())}"
            )
        if missing:
            which = "all" if len(missing) == len(DATASETS) else f"[{','.join(missing)}]"
            remedy = (
                f"{typed('prepare')} dataset={which} (with source=standin: something to try with); or data.root=FOLDER"
            )
            report.missing("datasets", f"not in {data_root}: {', '.join(missing)}", remedy, "train", "eval", "matrix")


def examine_metrics(report: Report) -> None:
    """The weight files of metrics, and where they are looked for."""
    with report.surviving("weights of metrics", "make setup", "eval"):
        from octosr.metrics import diversity, maniqa_weights
        from octosr.metrics.lpips_network import find_backbone

        fetch = f"{typed('eval')} ... metrics.download=true, or metrics.NAME.weights=PATH"
        looks = {
            "MANIQA": (lambda: maniqa_weights.find_weights("koniq", None, False), fetch, "eval"),
            "LPIPS (alex)": (lambda: find_backbone("alex", None, False, "lpips"), fetch, ""),
            "LPIPS (vgg)": (lambda: find_backbone("vgg", None, False, "lpips"), fetch, ""),
            "Inception (FID, KID)": (lambda: diversity.find_inception(None), "diversity.inception=PATH", ""),
        }
        for name, (look, remedy, command) in looks.items():
            try:
                report.ok(f"weights of {name}", str(look()))
            except OctoSRError as error:
                text = re.split(r" Three ways| Name it", str(error))[0]
                if command:
                    report.missing(f"weights of {name}", text, remedy, command, "matrix")
                else:
                    report.note(f"weights of {name}", text, remedy)


def examine_results(report: Report, output_root: Path) -> None:
    """Checkpoints, weights and scores under the output folder."""
    checkpoints = sorted((output_root / "checkpoints").glob("*/*/last.ckpt"))
    by_technique = Counter(path.parts[-3] for path in checkpoints)
    if checkpoints:
        report.ok("checkpoints", ", ".join(f"{name}: {number}" for name, number in by_technique.items()))
    else:
        report.note(
            "checkpoints", f"none in {output_root / 'checkpoints'}", f"{typed('train')} technique=dan dataset=isaid"
        )
    weights = [
        path.name
        for path in sorted((output_root / "weights").glob("*"))
        if path.suffix in (".pth", ".pt", ".safetensors")
    ]
    if weights:
        report.ok("downloaded weights", ", ".join(weights))
    if util.find_spec("realesrgan") is None and not weights:
        report.note(
            "weights of realesrgan", f"none in {output_root / 'weights'}", f"{typed('prepare')} weights=realesrgan"
        )
    scores = list((output_root / "scores").glob("*/*.csv"))
    if scores:
        report.ok("score tables", f"{len(scores)} in {output_root / 'scores'}")
    else:
        remedy = f"{typed('eval')} technique=bicubic dataset=more/demo"
        report.missing("score tables", f"none in {output_root / 'scores'}", remedy, "report")


def examine_wandb(report: Report) -> None:
    """Whether there is a key, which is never shown, and the mode that follows."""
    with report.surviving("W&B", "pip install wandb, or logger=csv"):
        access = importlib.import_module("octosr.runs.wandb_access")
        key = "a key is configured" if access.has_wandb_key() else "no key"
        mode = access.wandb_mode(None)
        remedy = "" if mode != "offline" else "wandb login; or logger=csv"
        say = report.ok if mode == "online" else report.note
        arguments = (f"{metadata.version('wandb')}, {key}: runs are {mode}", *([remedy] if mode != "online" else []))
        say("W&B", *arguments)
