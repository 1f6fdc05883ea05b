from __future__ import annotations

import logging
from pathlib import Path

import pytest
from toy_training import Toy, ToyData, make_trainer

from octosr.callbacks import progress as module
from octosr.callbacks.progress import BarProgress, LineProgress, progress


@pytest.mark.parametrize(("terminal", "kind"), [(True, BarProgress), (False, LineProgress)])
def test_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch: pytest.MonkeyPatch, terminal: bool, kind: type) -> None:
    class Console:
        is_terminal = terminal

    monkeypatch.setattr(module, "Console", Console)
    assert type(progress()) is kind


def test_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.INFO, logger="octosr"):
        bar = LineProgress(every_n_steps=5)
        trainer = make_trainer(tmp_path, [bar], enable_progress_bar=True, enable_checkpointing=False)
        trainer.fit(Toy(), datamodule=ToyData())
    lines = [record.getMessage() for record in caplog.records if record.name == "octosr.callbacks.progress"]
    assert [line.split("  ")[0] for line in lines] == [
        "step 4",
        "step 5/12",
        "step 8",
        "step 10/12",
        "step 12/12",
        "step 12",
    ]
    assert lines[1].startswith("step 5/12  train/loss 0.")
    assert " steps/s" in lines[1]
    assert lines[1].endswith(" left")
    assert lines[0].startswith("step 4  validation  val/psnr ")
    assert "\r" not in capsys.readouterr().out
