"""What is typed after ``multirun.sh``: options, the axes of the matrix, and settings of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

STUDY = (
    *("apa", "blindsr", "dan", "fastgan", "moesr"),
    *("realesrgan", "nearest", "bilinear", "bicubic", "lanczos", "bicubic_noise"),
)
"""The study's techniques, one that was trained elsewhere, the baselines, and the probe of the sanity gates."""

HELP = """The whole study: train, evaluate, report. Finished work is not done again, so the same line goes on where it
stopped; failed cells are tried again. A cell that fails stops no other. Exit code 1 if anything failed or is left.

  ./multirun.sh                                            all techniques on the 14 datasets
  ./multirun.sh techniques=bicubic,lanczos datasets=isaid,ships data.root=FOLDER
  ./multirun.sh techniques=dan,bicubic time_limit.total=10m eval:metrics=niqe report:pair=[dan,bicubic]
  ./multirun.sh --jobs 4                                   four cells at a time here, the GPUs shared out
  ./multirun.sh hydra/launcher=submitit_slurm              all cells that are left as one array of SLURM jobs
"""
AFTER = """techniques=, datasets= and seeds= take names with commas between, or what Hydra's sweeps do, e.g. 'glob(*)'.
With seeds=0,1,2 each seed has an output_root of its own: OUTPUT_ROOT/seed-0 and so on. train:KEY=VALUE, eval:KEY=VALUE
and report:KEY=VALUE are settings of one command; all others are for train.py and eval.py both, data.root= and
output_root= for report.py too."""


@dataclass
class Request:
    """What is asked for.

    Attributes:
        techniques: as typed; empty: the study's.
        datasets: as typed; empty: all 14.
        seeds: as typed; empty: one, that of the settings.
        settings: job -> its overrides; ``report`` is one.
        launcher: Hydra's launcher; ``basic``: none, the cells are processes of ours.
        launcher_settings: overrides of it.
        output_root: where everything goes.
        only: conditions, see :func:`octosr.runs.matrix.plan.selected`.
        retry: ``failed``, ``none`` or ``all``.
        jobs: cells at a time.
        dry_run: only say what would be run, and why.
        warm: cells begin with everything imported.
        report: make the report at the end.
    """

    techniques: str = ""
    datasets: str = ""
    seeds: str = ""
    settings: dict[str, list[str]] = field(default_factory=lambda: {"train": [], "eval": [], "report": []})
    launcher: str = "basic"
    launcher_settings: list[str] = field(default_factory=list)
    output_root: Path = Path("outputs")
    only: tuple[str, ...] = ()
    retry: str = "failed"
    jobs: int = 1
    dry_run: bool = False
    warm: bool = True
    report: bool = True


def parse(arguments: Sequence[str]) -> Request:
    """Read the command line.

    Raises:
        SystemExit: ``--help``, or something that is no option and no setting; it is said on stderr.
    """
    parser = _parser()
    options = parser.parse_intermixed_args(list(arguments))
    if options.jobs < 1:
        parser.error(f"--jobs takes a number of cells from 1, but got {options.jobs}")
    request = Request(
        only=tuple(options.only),
        retry=options.retry,
        jobs=options.jobs,
        dry_run=options.dry_run,
        warm=not options.cold,
        report=not options.no_report,
    )
    for setting in options.settings:
        key, equals, value = setting.partition("=")
        if not equals:
            parser.error(f"'{setting}' is not a setting (KEY=VALUE)")
        _sort_in(request, setting, key, value)
    if request.launcher == "basic" and request.launcher_settings:
        parser.error(
            f"{request.launcher_settings[0]} says how a launcher works: name it, e.g. hydra/launcher=submitit_slurm"
        )
    if request.launcher != "basic" and options.jobs > 1:
        parser.error(f"--jobs is for cells that are started here; hydra/launcher={request.launcher} has its own number")
    return request


def _sort_in(request: Request, setting: str, key: str, value: str) -> None:
    command, colon, _ = key.partition(":")
    if colon and command in request.settings:
        request.settings[command].append(setting.partition(":")[2])
    elif key in ("techniques", "datasets", "seeds"):
        setattr(request, key, value)
    elif key == "hydra/launcher":
        request.launcher = value
    elif key.startswith("hydra.launcher."):
        request.launcher_settings.append(setting)
    elif key == "output_root":
        request.output_root = Path(value)
    else:
        for job in ("train", "eval", *(["report"] if key == "data.root" else [])):
            request.settings[job].append(setting)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="multirun.sh", description=HELP, epilog=AFTER, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="axes and settings, see below")
    parser.add_argument("--dry-run", action="store_true", help="say which cells would be run, and why; run none")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CONDITIONS",
        help="only such cells, e.g. 'technique=dan,dataset=s*' or 'job=eval'; several times: any of them",
    )
    parser.add_argument(
        "--retry",
        choices=("failed", "none", "all"),
        default="failed",
        help="which cells that have ended are run again: failed ones (the default), none, or all, finished ones too",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cells at a time on this machine")
    parser.add_argument("--no-report", action="store_true", help="make no report at the end")
    parser.add_argument("--cold", action="store_true", help="start a fresh interpreter for each cell: slower")
    return parser
