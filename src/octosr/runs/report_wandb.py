"""The report in W&B: its tables and figures as a run of the sweep's group, and a saved workspace to see them in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from octosr.atomic import write_bytes
from octosr.errors import ConfigError
from octosr.runs.wandb_access import keep_under, wandb_mode
from octosr.study.exports.values import plain

if TYPE_CHECKING:
    from octosr.study.document import Document
    from octosr.study.exports import Exported


def log_report(cfg: DictConfig, document: Document, exported: Exported, folder: Path) -> list[str]:
    """Log tables and figures, and save the workspace; offline, write what would be sent.

    Args:
        cfg: the composed ``conf/report/report.yaml``.
        document: the report.
        exported: its files.
        folder: the report's folder; ``wandb_workspace.json`` goes there.

    Returns:
        Lines that say what was done.

    Raises:
        ConfigError: an unknown mode, or ``wandb-workspaces`` is not installed.
    """
    settings = cfg.wandb
    mode = wandb_mode(None if settings.mode == "auto" else str(settings.mode))
    if mode == "disabled":
        return ["W&B is disabled: nothing logged"]
    try:
        from octosr.runs import workspace
    except ModuleNotFoundError as error:
        raise ConfigError(
            "The saved W&B workspace needs the package wandb-workspaces: pip install 'octosr[wandb-dashboard]'."
        ) from error
    root = Path(cfg.output_root).resolve() / "wandb"
    keep_under(root)
    import wandb

    run = wandb.init(
        project=settings.project,
        entity=settings.entity,
        name="report",
        group=settings.group,
        job_type="report",
        id=run_id(str(settings.group), root),
        resume="allow",
        dir=root.parent,
        mode=mode,
        config=plain(document.facts),
        settings=wandb.Settings(silent=True, console="off", disable_git=True),
    )
    failed = True
    try:
        run.log(content(document, exported))
        run.summary.update({f"answers/{number}": text for number, text in enumerate(document.summary, 1)})
        entity = run.entity if mode == "online" else settings.entity
        failed = False
    finally:
        run.finish(exit_code=int(failed))
    view = workspace.build(document, entity or "", settings.project, settings.workspace, settings.group)
    spec = json.dumps(workspace.specification(view), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path = folder / "wandb_workspace.json"
    write_bytes(path, spec.encode())
    if mode == "online":
        return [f"W&B      {run.url}", f"         {workspace.save(view)} (workspace; also in {path})"]
    return [
        f"W&B is offline: nothing was sent. The run: wandb sync {root / 'offline-run-*'}; the workspace: {path}, saved "
        "by the same command with wandb=online"
    ]


def content(document: Document, exported: Exported) -> dict[str, Any]:
    """What is logged: ``tables/KEY`` and ``figures/KEY``."""
    import wandb

    logged: dict[str, Any] = {}
    for table, rows in _tables(document):
        columns: list[str | int] = [str(name) for name in table.frame.columns]
        logged[f"tables/{table.key}"] = wandb.Table(columns=columns, data=rows, allow_mixed_types=True)
    for section in document.sections:
        for figure in section.figures:
            logged[f"figures/{figure.key}"] = wandb.Image(str(exported.pictures[figure.key]), caption=figure.title)
    return logged


def run_id(group: str, root: Path) -> str:
    """The same at each report of a group from the same place, so that a later report goes on in the same run."""
    return hashlib.sha256(f"report\n{group}\n{root}".encode()).hexdigest()[:12]


def _tables(document: Document) -> Iterator[tuple[Any, list[list[Any]]]]:
    for section in document.sections:
        for table in section.tables:
            cells = plain(table.frame.astype(object).to_numpy().tolist())
            yield table, [[" / ".join(map(str, c)) if isinstance(c, list) else c for c in row] for row in cells]
