"""The manifest: what is there, partial, failed, missing."""

from __future__ import annotations

from collections.abc import Callable

from octosr.study.inputs import ScoreSet
from octosr.study.manifest import State, grid, manifest, summary


def test_statuses(make_scores: Callable[..., ScoreSet]) -> None:
    nan = float("nan")
    scores = make_scores(
        {
            ("dan", "isaid", "niqe"): [1, 2, 3],
            ("dan", "isaid", "maniqa"): [0.1, 0.2, 0.3],
            ("bicubic", "isaid", "niqe"): [1, 2],  # fewer images, no MANIQA
            ("nearest", "isaid", "niqe"): [1, 2, 3],
            ("nearest", "isaid", "maniqa"): [0.1, 0.2, nan],
            ("apa", "isaid", "niqe"): [1, 2, 3],
            ("apa", "isaid", "maniqa"): [0.1, 0.2, 0.3],
            ("dan", "isaid", "psnr"): [20, 21, 22],  # APA can have none
            ("nearest", "isaid", "psnr"): [20, 21, 22],
            ("dan", "ships", "niqe"): [5],
            ("bicubic_noise", "ships", "niqe"): [5],  # a probe is no cell
        }
    )
    states = {
        ("nearest", "ships"): State("failed", "out of memory"),
        ("bicubic", "ships"): State("waiting"),
        ("dan", "ships"): State("failed", "the second run broke"),
    }
    cells = manifest(scores, states=states, techniques=["moesr"])
    status = cells.set_index(["technique", "dataset"])["status"].to_dict()
    assert status == {
        ("apa", "isaid"): "complete",
        ("dan", "isaid"): "complete",
        ("moesr", "isaid"): "missing",
        ("bicubic", "isaid"): "partial",
        ("nearest", "isaid"): "partial",
        ("apa", "ships"): "missing",
        ("dan", "ships"): "complete",
        ("moesr", "ships"): "missing",
        ("bicubic", "ships"): "missing",
        ("nearest", "ships"): "failed",
    }
    notes = cells.set_index(["technique", "dataset"])["note"].to_dict()
    assert notes["bicubic", "isaid"] == "2 of 3 images; MANIQA of 0 of 2 images; PSNR of 0 of 2 images"
    assert notes["nearest", "isaid"] == "MANIQA of 2 of 3 images"
    assert notes["nearest", "ships"] == "failed: out of memory"
    assert notes["bicubic", "ships"] == "waiting"
    assert notes["dan", "ships"] == "failed: the second run broke"
    assert summary(cells).startswith("10 cells (technique x dataset): 3 complete, 2 partial, 1 failed, 4 missing")
    assert grid(cells).frame.to_numpy().tolist() == [
        ["ships", "missing", "complete", "missing", "missing", "failed"],
        ["isaid", "complete", "complete", "missing", "partial", "partial"],
    ]


def test_the_studys_images_should_be_a_hundred(make_scores: Callable[..., ScoreSet]) -> None:
    kinds = {("apa", "isaid"): "study"}
    (cell,) = manifest(make_scores({("apa", "isaid", "niqe"): [1, 2, 3]}, kinds=kinds)).to_dict("records")
    assert (cell["expected"], cell["status"]) == (100, "partial")
    # other images in a folder with a study dataset's name: their number is nobody's business
    other = make_scores({("dan", "isaid", "niqe"): [1, 2, 3]}, kinds={("dan", "isaid"): "study"})
    (cell,) = manifest(other).to_dict("records")
    assert (cell["expected"], cell["status"]) == (3, "complete")
