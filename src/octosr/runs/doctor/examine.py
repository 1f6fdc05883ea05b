"""The examination, and how it is shown."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from octosr.errors import ConfigError, nearest
from octosr.runs.console import console
from octosr.runs.doctor import files, machine
from octosr.runs.doctor.finding import Finding, Report

COMMANDS = ("train", "eval", "predict", "matrix", "report", "demo")
_STYLES = {"ok": "green", "note": "yellow", "missing": "red"}


def doctor(output_root: Path = Path("outputs"), data_root: Path = Path("data")) -> list[Finding]:
    """Examine the machine.

    Args:
        output_root: as of every command.
        data_root: where the datasets are looked for.

    Returns:
        What was found, in the order of examination. No network is asked, and nothing that is broken raises.
    """
    report = Report()
    machine.examine_machine(report, output_root, data_root)
    machine.examine_torch(report)
    machine.examine_memory(report)
    files.examine_packages(report)
    files.examine_datasets(report, data_root)
    files.examine_metrics(report)
    files.examine_results(report, output_root)
    files.examine_wandb(report)
    return list(report)


def run(arguments: Sequence[str]) -> int:
    """``octosr doctor``: show it.

    Args:
        arguments: ``for=COMMAND``, ``output_root=``, ``data.root=``, ``--json``.

    Returns:
        1 if something is missing that the command of ``for=`` needs (without it: that every command needs), else 0.

    Raises:
        ConfigError: another argument.
    """
    wanted, roots, as_json = _parse(arguments)
    findings = doctor(*roots)
    serious = [finding for finding in findings if is_serious(finding, wanted)]
    if as_json:
        content = {"for": wanted, "ready": not serious, "findings": [asdict(finding) for finding in findings]}
        console.print(json.dumps(content, indent=1), markup=False, soft_wrap=True)
    else:
        show(findings, serious, wanted)
    return int(bool(serious))


def is_serious(finding: Finding, wanted: str | None) -> bool:
    """Whether a finding is in the way of a command; of every cell, if none is named."""
    if finding.word != "missing":
        return False
    return wanted in finding.needed_by if wanted else set(machine.CELLS) <= set(finding.needed_by)


def show(findings: Sequence[Finding], serious: Sequence[Finding], wanted: str | None) -> None:
    """A table of what is there, then what is missing for which command and the line that mends it."""
    table = Table(show_header=False)
    for finding in findings:
        table.add_row(f"[{_STYLES[finding.word]}]{finding.word}[/]", escape(finding.topic), escape(finding.text))
    console.print(table)
    mended = [finding for finding in findings if finding.remedy]
    if mended:
        remedies = Table("what", "wanted by", "the line that mends it")
        for finding in mended:
            remedies.add_row(escape(finding.topic), ", ".join(finding.needed_by), escape(finding.remedy))
        console.print(remedies)
    name = wanted or "every command"
    word = "missing for" if serious else "nothing is missing for"
    console.print(f"{word} {name}{': ' if serious else ''}{', '.join(f.topic for f in serious)}", markup=False)


def _parse(arguments: Sequence[str]) -> tuple[str | None, tuple[Path, Path], bool]:
    parser = argparse.ArgumentParser(prog="doctor.py", description="What this machine has, and what is missing.")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="for=COMMAND output_root=... data.root=...")
    parser.add_argument("--json", action="store_true", help="for a program to read")
    options = parser.parse_intermixed_args(list(arguments))
    given = {"for": None, "output_root": "outputs", "data.root": "data"}
    for setting in options.settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in given:
            raise ConfigError(
                f"doctor takes for=, output_root= and data.root=, but got '{setting}'.{nearest(key, given)}"
            )
        given[key] = value
    wanted = given["for"]
    if wanted is not None and wanted not in COMMANDS:
        raise ConfigError(f"for={wanted} is no command.{nearest(wanted, COMMANDS)} Choose from: {', '.join(COMMANDS)}.")
    return wanted, (Path(str(given["output_root"])), Path(str(given["data.root"]))), options.json
