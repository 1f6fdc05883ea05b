"""From scores to the whole report."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from octosr.study.analysis import Analysis
from octosr.study.document import Document
from octosr.study.inputs import Cell, ScoreSet
from octosr.study.inputs.diversity import Generated
from octosr.study.manifest import State
from octosr.study.options import Options
from octosr.study.sections.against_published import against_published
from octosr.study.sections.agreements import agreements
from octosr.study.sections.behaviours import behaviour
from octosr.study.sections.checks import checks
from octosr.study.sections.coverage import coverage
from octosr.study.sections.generated import generated_images
from octosr.study.sections.improvements import improvements
from octosr.study.sections.methods import methods
from octosr.study.sections.overall import overall
from octosr.study.sections.rq1 import rq1
from octosr.study.sections.tests import tests
from octosr.study.summary import summarise


def build_document(
    scores: ScoreSet,
    *,
    states: Mapping[Cell, State] | None = None,
    options: Options | None = None,
    generated: Generated | None = None,
) -> Document:
    """The report of a set of scores, however much or little of it there is.

    Args:
        scores: see :func:`octosr.study.inputs.read_scores`.
        states: what a sweep says about its cells, e.g. which failed and why.
        options: settings.
        generated: what was measured of sets of generated images; see :mod:`octosr.study.inputs.diversity`.

    Raises:
        InputError: a technique or metric that the options name has no score.
    """
    analysis = Analysis(scores, options, states)
    gates = checks(analysis)
    sections = [coverage(analysis), gates]
    sections += [rq1(analysis, metric) for metric in analysis.metrics]
    if analysis.metrics:
        sections += [overall(analysis), improvements(analysis), behaviour(analysis)]
        sections += [tests(analysis, metric) for metric in analysis.metrics]
        sections += [agreements(analysis), against_published(analysis)]
    if generated is not None and (generated.sets or generated.damaged):
        sections.append(generated_images(generated))
    sections.append(methods(analysis))
    return Document(analysis.options.title, summarise(analysis, gates.gates), sections, facts(analysis))


def facts(analysis: Analysis) -> dict[str, object]:
    """Plain values about how the report was made."""
    scores, o = analysis.scores, analysis.options
    return {
        "sources": list(scores.sources),
        "techniques": scores.techniques,
        "datasets": scores.datasets,
        "metrics": {m: {"higher_is_better": h} for m, h in scores.higher_is_better.items()},
        "scores": int(scores.frame["value"].notna().sum()),
        "kinds": sorted(set(scores.kinds.values())),
        "settings": {
            "alpha": o.alpha,
            "confidence": o.level,
            "resamples": o.resamples,
            "seed": o.seed,
            "k": o.k,
            "pair": list(analysis.pair or ()),
            "behaviour_metric": analysis.behaviour_metric,
            "overall_metrics": analysis.overall_metrics,
        },
        "versions": {name: _version(name) for name in ("octosr", "numpy", "scipy", "pandas", "scikit-posthocs")},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
