"""The published means and ours, and why most of them must not be compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import pandas as pd

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Section, Table
from octosr.study.inputs.study_files import STUDY_FILES
from octosr.study.published import SOURCE, Beside, beside
from octosr.study.published_tables import DIRECTIONS, KNOWN_FAULTS, check
from octosr.study.sections.common import figure


def against_published(analysis: Analysis) -> Section:
    """Ours beside the published means, metric by metric, with the differences of protocol."""
    section = Section("published", "Against the published study")
    section.paragraphs.append(f"Published means: {SOURCE}.")
    found = beside(analysis.scores)
    if not found:
        section.paragraphs.append("No technique, dataset and metric of ours has a counterpart in the study.")
    for one in found:
        _metric(section, one)
    _printed(section, analysis)
    return section


def _printed(section: Section, analysis: Analysis) -> None:
    """The study's own scores, where these are what was read, against every number on its slides."""
    made = analysis.scores.definitions
    metrics = {m for (_, _, m), d in made.items() if d.get("implementation") == STUDY_FILES} & set(analysis.metrics)
    if not metrics:
        return
    checks = check({m: analysis.means[m] for m in DIRECTIONS if m in metrics}, analysis.scores)
    counts = Counter(c.status for c in checks)
    section.paragraphs.append(
        f"Of {len(checks)} numbers printed on the study's slides, {counts['match']} match these scores to the printed "
        f"digit, {counts['known slip']} are known slips in the last digit, {counts['mismatch']} do not match, and "
        f"{counts['not checked']} need scores that are not here. {KNOWN_FAULTS}"
    )
    section.tables.append(
        Table(
            "printed-numbers",
            "Every number printed on the study's slides, computed again",
            pd.DataFrame([asdict(c) for c in checks]),
            caption="Means to 6 decimals, percentages to 3.",
            missing="",
        )
    )


def _metric(section: Section, one: Beside) -> None:
    title, published = names.metric_title(one.metric), names.metric_title(one.published)
    frame = one.frame.copy()
    frame["technique"] = frame["technique"].map(names.title)
    if one.comparable:
        frame["difference"] = (frame["ours"] - frame["published"]).where(frame["comparable"])
        worst = frame["difference"].abs().max()
        section.paragraphs.append(
            f"{title}: {int(frame['comparable'].sum())} of {len(frame)} cells are comparable (same variant, the "
            f"study's images, as many of them); there the largest difference of the means is {worst:.2g}."
        )
    else:
        section.paragraphs.append(f"{title}: do NOT compare the numbers with the published ones.")
    section.paragraphs += [f"{title}: {difference}" for difference in one.differences]
    section.tables.append(
        Table(
            f"published-{one.metric}",
            f"{published} as published and our {title}",
            frame,
            caption=" ".join(one.differences) or "No difference of protocol is known.",
            digits={name: 6 for name in ("published", "ours", "difference") if name in frame.columns},
            missing="not comparable",
        )
    )
    if one.comparable:
        section.figures.append(
            figure(
                f"published-{one.metric}-plot",
                f"Published and our means, {title}",
                "published_against_ours",
                one.frame.loc[one.frame["comparable"], ["technique", "dataset", "published", "ours"]],
                metric=one.metric,
                alt=f"Scatter plot of the published and our mean {title} of each technique on each dataset.",
            )
        )
