from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from toy_training import Toy, ToyData, make_trainer

from octosr.callbacks.checkpoint import LastCheckpoint
from octosr.callbacks.stopping import SignalStop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_step_and_saves(
    tmp_path: Path, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    stop = SignalStop()
    trainer = make_trainer(tmp_path, [stop, LastCheckpoint(tmp_path, every_n_steps=1000)])
    module = Toy(on_step=lambda step: os.kill(os.getpid(), number) if step == 3 else None)
    trainer.fit(module, datamodule=ToyData())
    assert (trainer.global_step, stop.received, module.val_seen) == (3, number, 0)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3
    assert f"{number.name} received: stopping after step 3" in caplog.text
    assert {n: signal.getsignal(n) for n in before} == before

    again = make_trainer(tmp_path, [stop, LastCheckpoint(tmp_path)], max_steps=6)
    again.fit(Toy(), datamodule=ToyData(), ckpt_path=tmp_path / "last.ckpt")
    assert (again.global_step, stop.received) == (6, None)


def test_a_signal_within_validation(tmp_path: Path) -> None:
    stop = SignalStop()
    trainer = make_trainer(tmp_path, [stop, LastCheckpoint(tmp_path, every_n_steps=1000)])
    module = Toy(on_val=lambda seen: os.kill(os.getpid(), signal.SIGTERM) if seen == 1 else None)
    trainer.fit(module, datamodule=ToyData())
    assert (trainer.global_step, module.val_seen) == (4, 1)
    assert stop.validation_cut_short
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 4


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    """The weights may be half-updated then, so nothing is written."""

    def twice(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGTERM)
    trainer = make_trainer(tmp_path, [SignalStop(), LastCheckpoint(tmp_path, every_n_steps=2)])
    with pytest.raises(SystemExit):  # Lightning's answer to KeyboardInterrupt
        trainer.fit(Toy(on_step=twice), datamodule=ToyData())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning leaves it ignored
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_clusters_warning_is_heeded_and_the_launchers_handler_kept_for_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """submitit's handler ends the process: called within a step, it would lose what was learned since a write."""
    calls: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: calls.append(number))
    try:
        stop = SignalStop()
        trainer = make_trainer(tmp_path, [stop, LastCheckpoint(tmp_path, every_n_steps=1000)])
        trainer.fit(Toy(on_step=lambda step: os.kill(os.getpid(), signal.SIGUSR2) if step == 3 else None), ToyData())
        assert (trainer.global_step, stop.received, stop.progressed, calls) == (3, signal.SIGUSR2, True, [])
        assert stop.handler is signal.getsignal(signal.SIGUSR2)
        stop.handler(12, None)
        assert calls == [12]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_within_slurm_both_user_signals_are_heeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    stop = SignalStop()
    trainer = make_trainer(tmp_path, [stop, LastCheckpoint(tmp_path, every_n_steps=1000)])
    trainer.fit(Toy(on_step=lambda step: os.kill(os.getpid(), signal.SIGUSR1) if step == 2 else None), ToyData())
    assert (trainer.global_step, stop.received, stop.handler) == (2, signal.SIGUSR1, None)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
