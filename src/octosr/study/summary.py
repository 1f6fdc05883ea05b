"""The report's answers in plain words, written from the results."""

from __future__ import annotations

from collections.abc import Sequence

from octosr.study import behaviours, names
from octosr.study.agreement import agreement, metric_pairs
from octosr.study.analysis import Analysis
from octosr.study.document import Gate
from octosr.study.manifest import summary as manifest_summary
from octosr.study.sections.agreements import agreement_verdict
from octosr.study.sections.behaviours import per_image_verdict
from octosr.study.sections.common import plural
from octosr.study.sections.overall import overall_verdict
from octosr.study.sections.rq1 import close_calls, verdict
from octosr.study.sections.tests import omnibus_verdict, pairs_verdict


def summarise(analysis: Analysis, gates: Sequence[Gate]) -> list[str]:
    """Winners, ties, how bicubic does, what the gates found and what is missing; one paragraph each."""
    out = [*_kinds(analysis)]
    if not analysis.metrics:
        return [*out, "There are no scores that could be ranked.", *_missing(analysis)]
    for metric in analysis.metrics:
        tests = omnibus_verdict(analysis.omnibus[metric], analysis.options.alpha)
        pairs = pairs_verdict(analysis.comparisons[metric], analysis.options.alpha)
        out.append(" ".join([verdict(analysis, metric), *close_calls(analysis, metric, by_name=False), tests, pairs]))
    out.append(overall_verdict(analysis))
    out += _behaviour(analysis)
    pairs_of_metrics = metric_pairs(analysis.metrics)
    if len(pairs_of_metrics) == 1:
        (x, y), *_ = pairs_of_metrics
        table = agreement(analysis.scores, x, y)
        out.append(agreement_verdict(table, names.metric_title(x), names.metric_title(y)))
    out += [
        f"{gate.question} {'No: ' if _is_no(gate) else ''}{gate.finding}" for gate in gates if gate.outcome == "warn"
    ]
    unknown = [gate for gate in gates if gate.outcome == "unknown"]
    if unknown:
        out.append(f"{plural(len(unknown), 'sanity gate')} could not be checked; see the gates for what it takes.")
    return [*out, *_missing(analysis)]


def _is_no(gate: Gate) -> bool:
    return not gate.finding.startswith(("No", "Not"))


def _kinds(analysis: Analysis) -> list[str]:
    standins = [cell for cell, kind in analysis.scores.kinds.items() if kind == "stand-in"]
    if not standins:
        return []
    return [
        f"{len(standins)} of {len(analysis.scores.kinds)} cells are of STAND-IN data: other images than the study's. "
        "Their numbers say something about these images and this program, nothing about the study."
    ]


def _behaviour(analysis: Analysis) -> list[str]:
    metric, pair = analysis.behaviour_metric, analysis.pair
    if metric is None or pair is None:
        return []
    paired = behaviours.pairs(analysis.scores, metric, *pair)
    return [per_image_verdict(behaviours.per_image(paired), *(names.title(t) for t in pair))] if paired else []


def _missing(analysis: Analysis) -> list[str]:
    cells = analysis.cells
    if cells.empty or (cells["status"] == "complete").all():
        return []
    return [f"Not everything is there. {manifest_summary(cells)} See 'What there is'."]
