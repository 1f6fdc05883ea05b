"""Checks of where scores come from: one direction, one definition and the study's images everywhere."""

from __future__ import annotations

import json
from collections import defaultdict

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Gate


def direction_gate(analysis: Analysis) -> Gate:
    """Is it known, and agreed, whether a higher value is better?"""
    question = "Is it known of every metric whether a higher value is better, and do all inputs agree?"
    scores = analysis.scores
    known = scores.higher_is_better
    problems = list(scores.conflicts)
    for metric, higher in known.items():
        usual = names.usual_direction(metric)
        if usual is not None and higher is not None and usual != higher:
            says = "higher" if higher else "lower"
            problems.append(f"The inputs say that a {says} {metric} is better; it is the other way round.")
    undecided = [m for m, higher in known.items() if higher is None and m not in names.DESCRIPTIVE]
    if undecided:
        problems.append(f"Not ranked, as their direction is not known: {', '.join(undecided)}.")
    if problems:
        return Gate("gate-direction", question, "warn", " ".join(problems))
    if not analysis.metrics:
        return Gate("gate-direction", question, "unknown", "There are no scores.")
    listed = (f"{names.metric_title(m)} {'higher' if known[m] else 'lower'} is better" for m in analysis.metrics)
    return Gate("gate-direction", question, "pass", "; ".join(listed) + ".")


def definition_gate(analysis: Analysis) -> Gate:
    """Was each metric computed in one and the same way for all cells?"""
    question = "Was every metric computed in one and the same way in all cells?"
    definitions = analysis.scores.definitions
    if not definitions:
        return Gate("gate-definition", question, "unknown", "The inputs do not say how their metrics were computed.")
    ways: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (technique, dataset, metric), definition in definitions.items():
        # the references of a metric that compares are the dataset's own, and differ by nature
        text = json.dumps({k: v for k, v in definition.items() if "references" not in k}, sort_keys=True, default=str)
        ways[metric][text].append(f"{technique}/{dataset}")
    mixed = []
    for metric, found in ways.items():
        if len(found) > 1:
            fewest = min(found.values(), key=len)
            mixed.append(
                f"{names.metric_title(metric)} in {len(found)} ways (e.g. {fewest[0]}: {len(fewest)} of "
                f"{sum(map(len, found.values()))} cells differ from the others)"
            )
    if mixed:
        return Gate("gate-definition", question, "warn", f"{'; '.join(mixed)}. Score these cells again.")
    return Gate("gate-definition", question, "pass", f"One definition for each of {len(ways)} metrics.")


def kind_gate(analysis: Analysis) -> Gate:
    """Are the images the study's?"""
    question = "Are all scores of the study's own images?"
    kinds = analysis.scores.kinds
    if not kinds:
        return Gate("gate-kind", question, "unknown", "The inputs do not say what their images are.")
    counts: dict[str, int] = defaultdict(int)
    for kind in kinds.values():
        counts["STAND-IN" if kind == "stand-in" else kind] += 1
    foreign = [cell for cell, kind in kinds.items() if kind == "study" and cell not in analysis.scores.studied]
    if foreign:
        technique, dataset = foreign[0]
        finding = (
            f"{len(foreign)} of {len(kinds)} cells are filed under a study dataset, but their images are not named as "
            f"the study's are (e.g. {names.title(technique)} on {dataset}): they are other images."
        )
        return Gate("gate-kind", question, "warn", finding)
    if set(counts) == {"study"}:
        return Gate("gate-kind", question, "pass", f"All {len(kinds)} cells are.")
    listed = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    return Gate(
        "gate-kind", question, "warn", f"Cells by kind of image: {listed}. Only 'study' compares with the study."
    )


def pairing_gate(analysis: Analysis) -> Gate:
    """Do the techniques that enlarge LR images cover the same images?"""
    question = "Were all techniques that enlarge given images given the same ones?"
    rows = analysis.scores.frame
    rows = rows[~names.probes(rows["technique"]) & ~names.generative(rows["technique"])]
    if rows["technique"].nunique() < 2:
        return Gate("gate-pairing", question, "unknown", "There are no two techniques of that kind.")
    different = []
    shared = 0
    for dataset in names.dataset_order(rows["dataset"].unique()):
        part = rows[rows["dataset"] == dataset]
        images = {frozenset(group) for _, group in part.groupby("technique", observed=True)["image"]}
        shared += len(images) == 1 and part["technique"].nunique() > 1
        if len(images) > 1:
            common = frozenset.intersection(*images)
            different.append(f"{dataset} ({len(common)} images in common, {len(frozenset.union(*images))} in all)")
    if different:
        finding = f"Not on {', '.join(different)}: means there are over different images; tests use the common ones."
        return Gate("gate-pairing", question, "warn", finding)
    return Gate("gate-pairing", question, "pass", f"Yes, on all {shared} datasets with two such techniques or more.")
