"""The saved W&B workspace of a study, built from code with W&B's own package ``wandb-workspaces``."""

from __future__ import annotations

from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from octosr.study.document import Document

_GENERATIVE = {
    "losses": ("train/loss_g", "train/loss_d"),
    "pseudo augmentation": ("train/p", "train/lambda_r"),
    "diversity against the real images": ("diversity/pairwise_ratio", "diversity/nearest_ratio", "diversity/gap"),
}
"""Curves over thousands of images shown; those that a technique does not log stay empty."""


def build(document: Document, entity: str, project: str, name: str, group: str) -> ws.Workspace:
    """A workspace with the report's figures and tables, the means of every cell, and the curves of the trainings.

    Args:
        document: the report, for the keys of its tables and figures.
        entity: who it belongs to; empty while that is not known.
        project: the project.
        name: of the workspace.
        group: only runs of this group are shown.
    """
    curves: list[Any] = [wr.LinePlot(title=t, x="train/kimg", y=list(keys)) for t, keys in _GENERATIVE.items()]
    curves.append(wr.MediaBrowser(title="samples", media_keys=["train/samples"]))
    metrics = sorted(document.facts.get("metrics", {}))
    sections = [
        ws.Section(
            name="Means of every cell",
            is_open=True,
            panels=[
                wr.BarPlot(title=metric, metrics=[f"eval/{metric}"], groupby=wr.Config("technique.name"))
                for metric in metrics
            ],
        ),
        ws.Section(
            name="Training",
            panels=[wr.LinePlot(title=key, x="Step", y=[key]) for key in ("train/loss", "val/psnr")],
        ),
        ws.Section(name="Training of generative techniques", panels=curves),
    ]
    for part in document.sections:
        panels: list[Any] = [wr.MediaBrowser(title=f.title, media_keys=[f"figures/{f.key}"]) for f in part.figures]
        panels += [wr.WeavePanelSummaryTable(table_name=f"tables/{table.key}") for table in part.tables]
        if panels:
            sections.append(ws.Section(name=part.title, panels=panels))
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=sections,
        runset_settings=ws.RunsetSettings(
            filters=[ws.Metric("Group") == group],
            pinned_columns=[f"summary:eval/{metric}" for metric in metrics],
        ),
    )


def specification(workspace: ws.Workspace) -> dict[str, Any]:
    """What saving sends, as plain values; asks no server."""
    view = workspace._to_model()  # the package has no public way to the view short of sending it
    return {
        "entity": view.entity or None,
        "project": view.project,
        "displayName": view.display_name,
        "type": "project-view",
        "spec": view.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def save(workspace: ws.Workspace) -> str:
    """Save it on the server.

    Returns:
        Its address.
    """
    return str(workspace.save().url)
