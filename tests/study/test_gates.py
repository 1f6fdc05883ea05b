"""Each gate passes, warns and knows when it cannot tell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from octosr.study.analysis import Analysis
from octosr.study.document import Gate
from octosr.study.gates import all_gates
from octosr.study.gates.baseline import against_baseline
from octosr.study.inputs import ScoreSet
from octosr.study.inputs.score_set import tidy

Make = Callable[..., ScoreSet]
RNG = np.random.default_rng(0)
BASE = RNG.normal(10, 1, 20)
DATASETS = ("ships", "isaid", "flowers")


def gates(scores: ScoreSet) -> dict[str, Gate]:
    found = all_gates(Analysis(scores))
    assert len({g.key for g in found}) == len(found)
    return {g.key: g for g in found}


def three(technique: str, values: np.ndarray, metric: str = "niqe") -> dict[tuple[str, str, str], list[float]]:
    return {(technique, d, metric): (values + i / 1000).tolist() for i, d in enumerate(DATASETS)}


def test_a_technique_that_does_not_beat_bicubic_is_named(make_scores: Make) -> None:
    noise = RNG.normal(0, 0.05, 20)
    scores = make_scores(
        {
            **three("bicubic", BASE),
            **three("lanczos", BASE - 0.5),  # better than bicubic, but no technique to be judged
            **three("dan", BASE - 1 + noise),
            **three("moesr", BASE + noise),
            ("dan", "flowers", "niqe"): (BASE + 1).tolist(),
        }
    )
    gate = gates(scores)["gate-bicubic-niqe"]
    assert gate.outcome == "warn"
    assert "1 of 2 techniques are not significantly better than bicubic on most datasets" in gate.finding
    assert "DAN is significantly better on 2, no different on 0, worse on 1 of 3 datasets" in gate.finding
    # ranks (DAN, MoESR, bicubic, Lanczos): 1 3or4 3or4 2 twice, and 4 2or3 2or3 1 on flowers
    assert "Bicubic is number" in gate.finding
    table = against_baseline(Analysis(scores).comparisons["niqe"]).set_index("technique")
    assert table.loc["lanczos"].tolist() == [3, 0, 0, 0]
    assert table.loc["dan"].tolist() == [2, 0, 1, 0]


def test_bicubic_beaten_passes_and_bicubic_missing_is_unknown(make_scores: Make) -> None:
    beaten = make_scores({**three("bicubic", BASE), **three("dan", BASE - 1 + RNG.normal(0, 0.01, 20))})
    assert gates(beaten)["gate-bicubic-niqe"].outcome == "pass"
    assert "number 2 of 2 by mean rank (2.00 over 3 datasets)" in gates(beaten)["gate-bicubic-niqe"].finding
    missing = gates(make_scores(three("dan", BASE)))["gate-bicubic-niqe"]
    assert missing.outcome == "unknown"
    assert "python eval.py -m technique=bicubic" in missing.finding


@pytest.mark.parametrize(("shift", "outcome"), [(-0.5, "warn"), (0.5, "pass"), (None, "unknown")])
def test_noise_that_improves_a_metric(make_scores: Make, shift: float | None, outcome: str) -> None:
    values = three("bicubic", BASE)
    if shift is not None:
        values |= three("bicubic_noise", BASE + shift + RNG.normal(0, 0.1, 20))
    gate = gates(make_scores(values))["gate-noise-niqe"]
    assert gate.outcome == outcome
    if outcome == "warn":
        assert "Significantly better on 3 of 3 datasets" in gate.finding
        assert "100% of 60 images" in gate.finding
    if outcome == "unknown":
        assert "bicubic_noise" in gate.finding


def test_higher_is_better_turns_the_noise_gate(make_scores: Make) -> None:
    values = three("bicubic", BASE, "psnr") | three("bicubic_noise", BASE - 1 + RNG.normal(0, 0.1, 20), "psnr")
    assert gates(make_scores(values))["gate-noise-psnr"].outcome == "pass"


def test_saturation(make_scores: Make) -> None:
    scores = make_scores({("dan", "x", "maniqa"): [0.5, 0.5, 0.7, 1.0], ("dan", "x", "niqe"): [1, 2, 3, 4]})
    gate = gates(scores)["gate-saturation"]
    assert gate.outcome == "warn"
    assert "1 of 4 MANIQA scores are at a bound of its scale" in gate.finding
    assert "2 of 4 MANIQA scores are repeated" in gate.finding
    assert "NIQE" not in gate.finding
    assert gates(make_scores({("dan", "x", "niqe"): [1, 2]}))["gate-saturation"].outcome == "pass"


def test_degenerate_images(make_scores: Make) -> None:
    values = {("dan", "x", "niqe"): [1.0, float("nan"), 3.0], ("dan", "x", "rms_contrast"): [0.0, 20.0, 30.0]}
    scores = make_scores(values)
    scores.details = tidy("dan", "x", ["i0", "i1", "i2"], ["i0", "i1", "i2"], "niqe:blocks", [36, 37, 100])
    gate = gates(scores)["gate-degenerate"]
    assert gate.outcome == "warn"
    assert "NIQE is not available for 1 images (DAN/x/i1)" in gate.finding
    assert "NIQE saw fewer than 37 blocks in 1 images (DAN/x/i0)" in gate.finding
    assert "constant images: 1 images (DAN/x/i0)" in gate.finding
    fine = make_scores({("dan", "x", "niqe"): [1.0, 2.0], ("dan", "x", "rms_contrast"): [10.0, 20.0]})
    fine.details = tidy("dan", "x", ["i0", "i1"], ["i0", "i1"], "niqe:blocks", [100, 100])
    assert gates(fine)["gate-degenerate"].outcome == "pass"
    assert gates(make_scores({("dan", "x", "niqe"): [1.0]}))["gate-degenerate"].outcome == "unknown"


def test_copies(make_scores: Make) -> None:
    scores = make_scores({("dan", "x", "niqe"): [1, 2, 3, 3], ("moesr", "x", "niqe"): [1, 5, 6, 7]})
    gate = gates(scores)["gate-duplicates"]
    assert gate.outcome == "warn"
    assert "1 images have the same scores by DAN, MoESR" in gate.finding
    assert "2 images (DAN/x/i2, DAN/x/i3)" in gate.finding
    scores = make_scores({("dan", "x", "niqe"): [1, 2], ("moesr", "x", "niqe"): [2, 1]})
    assert gates(scores)["gate-duplicates"].outcome == "pass"


def test_directions(make_scores: Make) -> None:
    values = {("dan", "x", "niqe"): [1, 2], ("dan", "x", "strange"): [1, 2]}
    gate = gates(make_scores(values, higher_is_better={"niqe": True}))["gate-direction"]
    assert gate.outcome == "warn"
    assert "say that a higher niqe is better; it is the other way round" in gate.finding
    assert "Not ranked, as their direction is not known: strange" in gate.finding
    assert gates(make_scores({("dan", "x", "niqe"): [1, 2]}))["gate-direction"].outcome == "pass"


def test_definitions_and_kinds_and_pairing(make_scores: Make) -> None:
    values = {("dan", "x", "niqe"): [1, 2], ("moesr", "x", "niqe"): [1.5, 2.5, 3.5]}
    definitions = {
        ("dan", "x", "niqe"): {"version": "1", "references_sha256": "a"},
        ("moesr", "x", "niqe"): {"version": "2", "references_sha256": "b"},
    }
    kinds = {("dan", "x"): "stand-in", ("moesr", "x"): "study"}
    found = gates(make_scores(values, definitions=definitions, kinds=kinds))
    assert found["gate-definition"].outcome == "warn"
    assert "NIQE in 2 ways" in found["gate-definition"].finding
    assert found["gate-kind"].outcome == "warn"
    assert "1 STAND-IN, 1 study" in found["gate-kind"].finding
    assert found["gate-pairing"].outcome == "warn"
    assert "x (2 images in common, 3 in all)" in found["gate-pairing"].finding
    definitions["moesr", "x", "niqe"] = {"version": "1", "references_sha256": "b"}  # own references are no difference
    values = {("dan", "x", "niqe"): [1, 2], ("moesr", "x", "niqe"): [1.5, 2.5]}
    found = gates(make_scores(values, definitions=definitions, kinds=dict.fromkeys(kinds, "study")))
    assert {found[f"gate-{k}"].outcome for k in ("definition", "kind", "pairing")} == {"pass"}
    foreign = make_scores({("dan", "isaid", "niqe"): [1, 2]}, kinds={("dan", "isaid"): "study"})
    assert "not named as the study's" in gates(foreign)["gate-kind"].finding
