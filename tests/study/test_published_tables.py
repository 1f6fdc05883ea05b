"""Every printed number of the study: from the shipped means, and from raw scores in the study's layout."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from octosr.study import published, ranking
from octosr.study.check_published import main
from octosr.study.inputs import read_scores
from octosr.study.published_tables import DIRECTIONS, KNOWN_SLIPS, Check, check, printed

COUNTS = {
    "niqe-domains": 10,
    "niqe-datasets": 28,
    "niqe-moesr-over-apa": 19,
    "niqe-apa-over-moesr": 25,
    "maniqa-domains": 10,
    "maniqa-datasets": 28,
    "maniqa-dan-over-moesr": 16,
    "maniqa-moesr-over-dan": 28,
    "sets": 4,
    "kendall": 1,
}


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return {metric: published.as_table(published.published_means(), metric) for metric in DIRECTIONS}


def outcome(checks: list[Check]) -> Counter[str]:
    return Counter(c.status for c in checks)


def test_there_are_169_printed_numbers() -> None:
    assert printed().groupby("table").size().to_dict() == COUNTS
    assert len(printed()) == 169


def test_the_published_means_give_every_printed_number_but_three_last_digits(tables: dict[str, pd.DataFrame]) -> None:
    checks = check(tables)
    assert outcome(checks) == {"match": 161, "known slip": 3, "not checked": 5}
    assert {(c.table, c.row, c.item): c.computed for c in checks if c.status == "known slip"} == {
        ("niqe-domains", "Flora", "best"): "14.615974",
        ("niqe-apa-over-moesr", "structretina", "percent"): "9.597",
        ("maniqa-dan-over-moesr", "mean", "percent"): "1.482",
    }
    assert {c.table for c in checks if c.status == "not checked"} == {"sets", "kendall"}


def test_raw_scores_give_all_of_them(study_folder: Path) -> None:
    scores = read_scores(study_folder)
    assert len(scores.frame) == 2 * 5 * 14 * 100
    checks = check({m: ranking.means(scores, m) for m in DIRECTIONS}, scores)
    assert outcome(checks) == {"match": 166, "known slip": 3}
    (tau,) = [c for c in checks if c.table == "kendall"]
    assert tau.computed == tau.printed == "0.306912"


def test_a_part_of_the_raw_scores_checks_what_it_can(study_folder: Path, tmp_path: Path) -> None:
    content = json.loads((study_folder / "df_maniqa.json").read_bytes())
    kept = {k: r for k, r in content.items() if r["dset"] in ("catsfaces", "dogsfaces", "condoaerial")}
    (tmp_path / "df_maniqa.json").write_text(json.dumps(kept))
    scores = read_scores(tmp_path)
    checks = check({"maniqa_study": ranking.means(scores, "maniqa_study")}, scores)
    done = Counter(c.table for c in checks if c.status == "match")
    # Fauna is complete; three datasets with two numbers each; MoESR wins on all three; the sets of condoaerial
    assert done == {"maniqa-domains": 2, "maniqa-datasets": 6, "maniqa-moesr-over-dan": 9, "sets": 2}
    assert outcome(checks)["mismatch"] == 0
    (mean,) = [c for c in checks if c.table == "maniqa-moesr-over-dan" and c.row == "mean"]
    assert mean.note == "needs the means of all 14 datasets"


def test_wrong_means_are_mismatches_also_at_known_slips(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["niqe_study"].copy()
    table.loc["flowers", "moesr"] += 1e-5
    checks = {(c.table, c.row, c.item): c for c in check({"niqe_study": table})}
    assert checks["niqe-domains", "Flora", "best"].status == "mismatch"
    assert checks["niqe-datasets", "flowers", "best"].status == "mismatch"
    assert checks["niqe-datasets", "flowers", "worst"].status == "match"
    assert ("niqe-domains", "Flora", "best") in KNOWN_SLIPS


def test_another_winner_is_a_mismatch(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["niqe_study"].copy()
    table.loc["isaid", "apa"] = 14.0  # MoESR is printed as the best of isaid
    checks = {(c.table, c.row, c.item): c for c in check({"niqe_study": table})}
    assert checks["niqe-datasets", "isaid", "best"].note == "moesr printed, apa computed"
    assert checks["niqe-moesr-over-apa", "isaid", "percent"].status == "mismatch"
    assert "does not win" in checks["niqe-moesr-over-apa", "isaid", "percent"].note


def test_true_domain_means_differ_from_the_printed_ones_as_the_page_says(tables: dict[str, pd.DataFrame]) -> None:
    niqe = ranking.domain_means(tables["niqe_study"])
    maniqa = ranking.domain_means(tables["maniqa_study"])
    assert niqe.idxmin(axis=1)[["Flora", "Satellite", "Aerial"]].tolist() == ["apa", "apa", "moesr"]
    assert f"{niqe.loc['Flora', 'apa']:.6f} {niqe.loc['Satellite', 'apa']:.6f}" == "15.014183 16.075427"
    assert maniqa.idxmax(axis=1)["Satellite"] == "moesr"
    assert maniqa.idxmin(axis=1)["Flora"] == "fastgan"
    assert f"{maniqa.loc['Satellite', 'moesr']:.6f} {maniqa.loc['Flora', 'fastgan']:.6f}" == "0.576814 0.489211"


def test_the_program_says_what_matches_and_how_it_ends(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    assert "169 printed numbers: 161 match, 3 known slip, 0 mismatch, 5 not checked" in capsys.readouterr().out
    assert main(["--raw", str(study_folder)]) == 0
    out = capsys.readouterr().out
    assert "169 printed numbers: 166 match, 3 known slip, 0 mismatch, 0 not checked" in out
    assert "known fault: The tables of broader domains hold no domain means" in out
    wrong = published.published_means().assign(mean=lambda t: t["mean"] + 0.001)
    wrong.to_csv(tmp_path / "wrong.csv", index=False)
    assert main(["--means", str(tmp_path / "wrong.csv")]) == 1
    assert "mismatch: niqe-datasets, isaid, best: printed 14.385091, computed 14.386091" in capsys.readouterr().out
    shutil.copy(tmp_path / "wrong.csv", tmp_path / "bad.csv")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    assert main(["--means", str(tmp_path / "bad.csv")]) == 2
    assert "lacks the columns metric" in capsys.readouterr().err
