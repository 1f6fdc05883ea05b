"""The whole report: from everything there is down to next to nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from octosr.study import figures
from octosr.study.document import Document
from octosr.study.document_builder import build_document
from octosr.study.inputs import InputError, ScoreSet, read_scores
from octosr.study.inputs.score_set import empty
from octosr.study.manifest import State
from octosr.study.options import Options

QUICK = Options(resamples=100)


def consistent(document: Document) -> Document:
    """What every renderer relies on."""
    parts = [p for s in document.sections for p in [*s.gates, *s.tables, *s.figures]]
    keys = [s.key for s in document.sections] + [p.key for p in parts]
    assert len(keys) == len(set(keys))
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", key) for key in keys)
    assert document.summary
    for section in document.sections:
        for table in section.tables:
            assert table.frame.columns.is_unique, table.key
            named = {*table.digits, *table.best, *(table.best_in_row or ((), ""))[0]}
            assert named <= set(table.frame.columns), table.key
            assert all(isinstance(column, str) for column in table.frame.columns)
    text = [*document.summary, *(p for s in document.sections for p in s.paragraphs)]
    text += [g.finding for s in document.sections for g in s.gates]
    assert not any(re.search(r"\bnan\b|\binf\b|\bNone\b(?! of)", line) for line in text), text
    return document


def table(document: Document, key: str) -> pd.DataFrame:
    return next(t.frame for s in document.sections for t in s.tables if t.key == key)


def test_the_studys_scores_give_the_studys_tables(study_folder: Path) -> None:
    document = consistent(build_document(read_scores(study_folder), options=QUICK))
    means = table(document, "means-niqe_study").set_index("dataset")
    assert f"{means.loc['isaid', 'MoESR']:.6f}" == "14.385091"
    best = table(document, "best-worst-maniqa_study").set_index("dataset")
    assert best.loc["amazonia1", ["best", "worst"]].tolist() == ["MoESR", "FastGAN"]
    gain = table(document, "improvement-niqe_study-apa-over-moesr").set_index("dataset")
    assert len(gain) == 9
    assert f"{means.loc['mean', 'APA']:.6f} {means.loc['mean', 'MoESR']:.6f}" == "15.723727 15.999718"
    assert table(document, "printed-numbers")["status"].value_counts().to_dict() == {"match": 166, "known slip": 3}
    assert f"{gain.loc['mean I%', 'I%']:.3f}" == "5.403"
    printed = table(document, "domains-as-printed-maniqa_study").set_index("domain")
    assert printed.loc["Satellite", ["best_technique", "best_dataset"]].tolist() == ["DAN", "isaid"]
    assert table(document, "overall-ranks")["technique"].tolist() == ["MoESR", "DAN", "APA", "BlindSR", "FastGAN"]
    sets = table(document, "rq2-sets").set_index("dataset")
    assert sets.loc["amazonia1", ["C_W", "N_W"]].tolist() == [6, 4]
    (rq2,) = [s for s in document.sections if s.key == "rq2"]
    assert any("0.306912 (p = 0.176, not significant at 5 %)" in p for p in rq2.paragraphs)
    assert document.facts["settings"]["pair"] == ["moesr", "dan"]
    assert document.facts["scores"] == 14000


@pytest.mark.parametrize("seed", range(6))
def test_half_finished_sweeps_give_a_report(make_scores: Callable[..., ScoreSet], seed: int) -> None:
    rng = np.random.default_rng(seed)
    techniques = ["apa", "dan", "bicubic", "bicubic_noise", "<img src=x>"]
    values = {}
    for technique in techniques:
        for dataset in ("ships", "isaid", "flowers", "demo", "mine", "x"):
            for metric in ("niqe", "maniqa", "psnr"):
                if rng.random() < 0.25 + 0.1 * (seed % 5):
                    continue  # this cell, or this metric of it, is not there
                n = int(rng.integers(1, 15))
                column = rng.normal(10, 1, n).round(int(rng.integers(0, 4)))  # with ties
                column[rng.random(n) < 0.2] = np.nan
                column[rng.random(n) < 0.05] = np.inf
                values[technique, dataset, metric] = column.tolist()
    states = {("dan", "ships"): State("failed", "no memory"), ("moesr", "isaid"): State("waiting")}
    scores = make_scores(values, kinds={(t, d): "stand-in" for t, d, _ in values})
    document = consistent(build_document(scores, states=states, options=QUICK))
    assert any("STAND-IN" in line for line in document.summary)
    assert any("Not everything is there" in line for line in document.summary)


@pytest.mark.parametrize(
    "values",
    [
        {("dan", "isaid", "niqe"): [5.0]},
        {("dan", "isaid", "niqe"): [float("nan")]},
        {("dan", "isaid", "strange"): [5.0]},
        {("bicubic_noise", "isaid", "niqe"): [5.0]},
        {("dan", "isaid", "niqe"): [5.0], ("moesr", "ships", "niqe"): [4.0]},  # no pair at all
        {("apa", "isaid", "niqe"): [5.0, 4.0], ("fastgan", "isaid", "niqe"): [4.0, 3.0]},  # nothing pairs up
        {("dan", "isaid", "niqe"): [5.0] * 9, ("moesr", "isaid", "niqe"): [5.0] * 9},  # all the same
        {("dan", "isaid", "niqe"): [float("inf")] * 9, ("moesr", "isaid", "niqe"): [5.0] * 9},
        {("dan", "isaid", "niqe"): [0.0] * 9, ("DAN", "isaid", "niqe"): [1.0] * 9},  # titles would be equal
    ],
    ids=["one", "nan", "no direction", "probe only", "apart", "gans", "constant", "infinite", "same title"],
)
def test_next_to_nothing_gives_a_report(
    make_scores: Callable[..., ScoreSet], values: dict[tuple[str, str, str], list[float]]
) -> None:
    consistent(build_document(make_scores(values), options=QUICK))


def test_nothing_gives_a_report_that_says_so() -> None:
    document = consistent(build_document(ScoreSet(empty()), options=QUICK))
    assert document.summary[0] == "There are no scores that could be ranked."


def test_ties_are_called_ties(make_scores: Callable[..., ScoreSet]) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(10, 1, 40)
    scores = make_scores(
        {
            (t, d, "niqe"): (base + shift + rng.normal(0, 0.2, 40)).tolist()
            for d in "abcdef"
            for t, shift in (("dan", 0.0), ("moesr", 0.0), ("bicubic", 1.0))
        }
    )
    document = consistent(build_document(scores, options=QUICK))
    best = table(document, "best-worst-niqe")
    assert set(best["lead"]) == {"tie"}
    (rq1,) = [s for s in document.sections if s.key == "rq1-niqe"]
    assert any("On 6 datasets of 6 the best and the second best are a tie" in p for p in rq1.paragraphs)
    matrix = table(document, "win-tie-loss-table-niqe").set_index("technique")
    assert matrix.loc["DAN", "MoESR"] == "0 / 6 / 0"
    assert matrix.loc["DAN", "Bicubic"] == "6 / 0 / 0"


def test_options_choose_pair_metric_and_k(make_scores: Callable[..., ScoreSet]) -> None:
    rng = np.random.default_rng(0)
    names = [(t, "x", m) for t in ("a", "b", "c") for m in ("psnr", "ssim")]
    scores = make_scores({name: rng.random(20).tolist() for name in names})
    options = Options(pair=("c", "a"), behaviour_metric="ssim", k=4, resamples=100, overall=("psnr",))
    document = consistent(build_document(scores, options=options))
    assert document.facts["settings"]["pair"] == ["c", "a"]
    (rq2,) = [s for s in document.sections if s.key == "rq2"]
    assert rq2.title == "RQ2: do c and a behave alike?"
    row = table(document, "rq2-sets").iloc[0]
    assert row["C_B"] + row["N_B"] == 4
    with pytest.raises(InputError, match=r"no scores of the technique 'dan'. There are: a, b, c"):
        build_document(scores, options=Options(pair=("dan", "a")))
    with pytest.raises(InputError, match="no scores of the metric 'niqe'"):
        build_document(scores, options=Options(behaviour_metric="niqe"))
    with pytest.raises(ValueError, match="two different techniques"):
        Options(pair=("a", "a"))


def test_trained_techniques_come_before_interpolation_in_rq2(make_scores: Callable[..., ScoreSet]) -> None:
    rng = np.random.default_rng(0)
    values = {(t, "x", "niqe"): (rng.random(20) + s).tolist() for t, s in (("bicubic", 0), ("lanczos", 1), ("dan", 9))}
    document = consistent(build_document(make_scores(values), options=QUICK))
    assert document.facts["settings"]["pair"] == ["dan", "bicubic"]


def test_many_metrics_get_a_matrix(make_scores: Callable[..., ScoreSet]) -> None:
    rng = np.random.default_rng(0)
    metrics = ("niqe", "maniqa_official", "psnr", "ssim")
    values = {(t, "x", m): rng.random(9).tolist() for t in ("dan", "moesr") for m in metrics}
    document = consistent(build_document(make_scores(values), options=QUICK))
    keys = [t.key for s in document.sections if s.key == "agreement" for t in s.tables]
    assert keys == ["agreement-matrix", "agreement-niqe-maniqa_official"]
    matrix = table(document, "agreement-matrix").set_index("metric")
    detail = table(document, "agreement-niqe-maniqa_official")
    assert matrix.loc["NIQE", "MANIQA (official protocol)"] == detail["agreement"].iloc[0]
    assert document.facts["settings"]["overall_metrics"] == ["niqe", "maniqa_official"]


@pytest.mark.slow
def test_every_figure_can_be_drawn(study_folder: Path) -> None:
    document = build_document(read_scores(study_folder), options=QUICK)
    drawn = [figure for section in document.sections for figure in section.figures]
    assert len(drawn) >= 14
    for figure in drawn:
        assert figures.to_svg(figure.draw()).startswith(b"<?xml"), figure.key


def test_a_report_needs_no_torch() -> None:
    code = "import sys, octosr.study.document_builder; assert not {'torch', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
