"""What predict.py shows while several images are on their way at once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from octosr.prediction.enlarge import Outcome
from octosr.prediction.inputs import Job
from octosr.runs.predict_progress import Meter


def jobs(names: str) -> list[Job]:
    return [Job(Path("in") / name, Path("out") / name, name) for name in names]


def test_the_bar_never_goes_back_and_lines_keep_the_order(caplog: pytest.LogCaptureFixture) -> None:
    shown: list[float] = []

    def bar() -> float:
        shown.append(meter._bar.tasks[0].completed)
        return shown[-1]

    with caplog.at_level(logging.INFO), Meter(5) as meter:
        meter.begin(jobs("abc"))
        assert "1-3/5 a" in meter._bar.tasks[0].description
        meter.end(jobs("a")[0], Outcome(1000, 2000))
        assert bar() == 1
        meter.begin(jobs("d"))  # while b and c are still being encoded
        assert "4/5 d" in meter._bar.tasks[0].description
        meter.advance(1, 2)
        assert bar() == 3.5
        meter.fail()
        meter.end(jobs("c")[0], Outcome(1000, 2000, ["a note"]))
        assert bar() == 3.5
        meter.advance(2, 2)
        assert bar() == 4
        meter.end(jobs("d")[0], Outcome(1000, 2000))
        meter.begin(jobs("e"))
        meter.fail()
        assert bar() == 5
    assert shown == sorted(shown)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split("  ")[:3] for line in lines if "note" not in line] == [
        ["1/5", "out/a", "2000x1000"],
        ["3/5", "out/c", "2000x1000"],
        ["4/5", "out/d", "2000x1000"],
    ]
    assert "in/c: a note" in lines
    summary = meter.summary(Path("out"), there=1)
    assert summary.startswith("3 images written to out (6.0 megapixels in ")
    assert summary.endswith("1 there already, 2 failed")
