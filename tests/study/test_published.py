"""The published means as shipped, and what may be compared with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from octosr.catalog import DATASETS, TECHNIQUES
from octosr.study.inputs import ScoreSet, read_scores
from octosr.study.inputs.score_set import tidy
from octosr.study.published import beside, published_means


def named(technique: str, metric: str, n: int, value: float) -> pd.DataFrame:
    """Scores of images named as the study's flowers are."""
    stems = [f"low_image_{i:05d}" for i in range(n)]
    return tidy(technique, "flowers", stems, stems, metric, [value] * n)


def test_shipped_means_are_whole() -> None:
    table = published_means()
    assert len(table) == 140
    assert set(table["metric"]) == {"niqe_study", "maniqa_study"}
    assert set(table["technique"]) == set(TECHNIQUES)
    assert set(table["dataset"]) == set(DATASETS)
    assert (table["n"] == 100).all()
    assert (table["domain"] == table["dataset"].map(lambda d: DATASETS[d].domain)).all()
    mean = table.groupby(["metric", "technique"])["mean"].mean()
    assert f"{mean['niqe_study', 'apa']:.6f} {mean['maniqa_study', 'moesr']:.6f}" == "15.723727 0.616610"


def test_the_studys_own_scores_are_comparable_and_equal(study_folder: Path) -> None:
    found = beside(read_scores(study_folder))
    assert [b.metric for b in found] == ["niqe_study", "maniqa_study"]
    for b in found:
        assert len(b.frame) == 70
        assert b.frame["comparable"].all()
        assert np.allclose(b.frame["ours"], b.frame["published"], rtol=0, atol=1e-9)
        assert b.differences == ()


def test_usual_niqe_and_public_maniqa_are_never_comparable() -> None:
    frame = pd.concat([named("dan", "niqe", 100, 5.0), named("dan", "maniqa", 100, 0.6)], ignore_index=True)
    found = {b.metric: b for b in beside(ScoreSet(frame, kinds={("dan", "flowers"): "study"}))}
    assert not found["niqe"].comparable
    assert "another one" in found["niqe"].differences[0]
    assert "did not publish" in found["maniqa"].differences[0]
    assert not found["maniqa"].comparable


def test_same_variant_needs_the_studys_images_and_as_many() -> None:
    def one(kind: str, n: int) -> tuple[bool, str]:
        (b,) = beside(ScoreSet(named("dan", "niqe_study", n, 15.0), kinds={("dan", "flowers"): kind}))
        return b.comparable, " ".join(b.differences)

    assert one("study", 100)[0]
    comparable, why = one("stand-in", 100)
    assert not comparable
    assert "STAND-IN" in why
    comparable, why = one("study", 40)
    assert not comparable
    assert "40 images where the study has 100" in why


def test_other_images_under_a_study_name_are_not_comparable(make_scores: Callable[..., ScoreSet]) -> None:
    scores = make_scores({("dan", "flowers", "niqe_study"): [15.0] * 100}, kinds={("dan", "flowers"): "study"})
    (b,) = beside(scores)
    assert not b.comparable
    assert "not named as the study's" in " ".join(b.differences)


def test_nothing_in_common_is_nothing(make_scores: Callable[..., ScoreSet]) -> None:
    assert beside(make_scores({("bicubic", "isaid", "niqe"): [1.0]})) == []
    assert beside(make_scores({("dan", "demo", "niqe"): [1.0]})) == []
