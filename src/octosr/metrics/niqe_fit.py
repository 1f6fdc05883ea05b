"""The command that learns a model of pristine images: ``python -m octosr.metrics.niqe_fit FOLDER OUT.npz``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track

from octosr.errors import OctoSRError
from octosr.metrics.functional.niqe_fit import SHARPNESS, fit_niqe, image_files

__all__ = ["fit_niqe", "main"]


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m octosr.metrics.niqe_fit", description=__doc__)
    parser.add_argument("folder", type=Path, help="pristine images, looked for in all folders below")
    parser.add_argument("out", type=Path, help=".npz file to write; use it as metrics.niqe.parameters=FILE")
    parser.add_argument("--variant", default="niqe", help="whose features: niqe, niqe_study or niqe_basicsr")
    parser.add_argument("--sharpness", type=float, default=SHARPNESS, help="part of the sharpest block's (0.75)")
    given = parser.parse_args(arguments)
    try:
        files = image_files(given.folder)
        progress = track(files, description="learning", console=Console(stderr=True))
        model = fit_niqe(progress, given.out, variant=given.variant, sharpness=given.sharpness)
    except (OctoSRError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{given.out}: learnt from {len(files)} images, sha256 {model.sha256}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
