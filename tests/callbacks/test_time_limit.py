from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from pytorch_lightning.loggers import CSVLogger
from toy_training import Toy, ToyData, make_trainer

from octosr.callbacks.atomic_io import AtomicCheckpointIO
from octosr.callbacks.checkpoint import BestCheckpoint, LastCheckpoint
from octosr.callbacks.time_limit import TimeLimit, _process_age
from octosr.durations import format_duration, parse_duration
from octosr.errors import ConfigError


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4d", 345600),
        ("12h", 43200),
        ("90m", 5400),
        ("30s", 30),
        ("3d12h", 302400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (" 2M ", 120),
        ("04:00:00", 14400),
        ("01:02:03:04", 93784),
        ("4-00:00:00", 345600),
        (90, 90),
        (0, 0),
        ("3600", 3600),
        (timedelta(hours=1), 3600),
        (None, None),
    ],
)
def test_parse_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "4 days", "d", "-5", "nan", "inf", "10:00", "h4", "4d-"])
def test_not_a_duration(text: str) -> None:
    with pytest.raises(ConfigError, match=r"time_limit\.total="):
        TimeLimit(total=text)


def test_format_duration() -> None:
    assert [format_duration(s) for s in (0, 59.6, 3600, 90061, 345600)] == ["0s", "1m", "1h", "1d 1h", "4d"]


def test_a_limit_shorter_than_the_margin_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"time_limit\.allocation \(1m\) leaves no time"):
        TimeLimit(allocation="1m")
    TimeLimit(total="1m", margin=0)


def test_process_age_counts_from_the_start_of_the_process() -> None:
    limit = TimeLimit(allocation="1h")
    assert 0 <= _process_age() <= limit.elapsed_allocation + 1


def run(
    folder: Path,
    limit: TimeLimit,
    clock: Clock,
    step_time: float = 10,
    val_time: float = 0,
    steps: int = 30,
    resume: bool = False,
) -> tuple[Toy, ToyData, int]:
    module = Toy(on_step=lambda _: clock.forward(step_time), on_val=lambda _: clock.forward(val_time))
    data = ToyData()
    trainer = make_trainer(
        folder,
        [limit, BestCheckpoint(folder), LastCheckpoint(folder, every_n_steps=1000)],
        max_steps=steps,
        logger=CSVLogger(folder),
        log_every_n_steps=1,
    )
    trainer.fit(module, datamodule=data, ckpt_path=folder / "last.ckpt" if resume else None)
    assert trainer.limit_val_batches == 1.0  # as it was
    return module, data, trainer.global_step


def saved_step(folder: Path) -> int:
    return int(torch.load(folder / "last.ckpt", weights_only=True)["global_step"])


def test_total_stops_with_the_margin_left_and_saves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """10 s a step, 100 s less a margin of 25 s: the check after step 8 (80 s) is the first beyond 75 s."""
    clock = Clock()
    limit = TimeLimit(total=100, margin=25, clock=clock)
    module, _, steps = run(tmp_path, limit, clock)
    assert steps == saved_step(tmp_path) == 8
    assert limit.reason == "total"
    assert limit.elapsed_total == 80
    assert (
        module.val_seen == 3
    )  # the one after step 4; none was started because of the stop, which fell on a validation
    assert caplog.text.count("Time limit: 1m 20s of time_limit.total=1m 40s used; stopping after step 8") == 1


def test_total_counts_over_resumes_and_validation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each resume has its own allocation; what validation takes is counted and time between the runs is not."""
    clock = Clock()
    for expected, elapsed in ((3, 30), (5, 65), (8, 95)):  # the validation after step 4 takes 15 s
        limit = TimeLimit(total=200, allocation=35, margin=5, clock=clock)
        _, data, steps = run(tmp_path, limit, clock, val_time=5, resume=expected > 3)
        assert (steps, limit.elapsed_total) == (expected, pytest.approx(elapsed, abs=1))
        assert limit.reason == "allocation"
        assert data.log_of_ids[-1] == expected - 1
        clock.forward(10_000)
    _, _, steps = run(tmp_path, TimeLimit(total=106, margin=0, clock=clock), clock, val_time=5, resume=True)
    assert steps == saved_step(tmp_path) == 10
    caplog.clear()
    before = (tmp_path / "last.ckpt").read_bytes()
    limit = TimeLimit(total=106, margin=0, clock=clock)
    module, data, steps = run(tmp_path, limit, clock, resume=True)
    assert (steps, module.losses, data.log_of_ids, module.val_seen) == (10, [], [], 0)
    assert "before the first step of this run: nothing was trained. Raise time_limit.total" in caplog.text
    assert (tmp_path / "last.ckpt").read_bytes() == before


def test_stops_within_a_validation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half a validation is neither logged nor a candidate for the best; training goes on exactly from there."""
    clock = Clock()
    limit = TimeLimit(total=60, margin=0, clock=clock)
    module, _, steps = run(tmp_path, limit, clock, step_time=10, val_time=12)  # 40 s + 12 + 12
    assert (steps, module.val_seen, limit.elapsed_total) == (4, 2, 64)
    assert saved_step(tmp_path) == 4
    assert limit.validation_cut_short
    assert not (tmp_path / "best.ckpt").exists()
    assert "val/psnr" not in (tmp_path / "lightning_logs/version_0/metrics.csv").read_text()
    assert caplog.text.count("stopping after step 4") == 1

    again = TimeLimit(total="1h", margin=0, clock=clock)
    resumed, data, steps = run(tmp_path, again, clock, steps=12, resume=True)
    assert (steps, data.log_of_ids) == (12, list(range(4, 12)))
    whole, _, _ = run(tmp_path / "whole", TimeLimit(clock=clock), clock, steps=12)
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))
    assert again.elapsed_total == pytest.approx(64 + 80, abs=1)
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"] in (8, 12)


def test_time_used_up_by_validation_stops_before_another_step(tmp_path: Path) -> None:
    clock = Clock()
    limit = TimeLimit(total=70, margin=0, clock=clock)
    module, _, steps = run(tmp_path, limit, clock, step_time=10, val_time=10)  # 40 s + 30 s, at the last batch
    assert (steps, module.val_seen, saved_step(tmp_path)) == (4, 3, 4)
    assert not limit.validation_cut_short
    assert (tmp_path / "best.ckpt").exists()


def test_min_steps_does_not_override_the_limit(tmp_path: Path) -> None:
    clock = Clock()
    module = Toy(on_step=lambda _: clock.forward(10))
    trainer = make_trainer(tmp_path, [TimeLimit(total=20, margin=0, clock=clock)], min_steps=10)
    trainer.fit(module, datamodule=ToyData())
    assert trainer.global_step == 2


def test_the_margin_grows_with_the_writes_seen(tmp_path: Path) -> None:
    clock = Clock()
    io = AtomicCheckpointIO()
    io.longest_write = 20.0
    limit = TimeLimit(total=100, margin=1, clock=clock)
    trainer = make_trainer(tmp_path, [limit], plugins=[io])
    trainer.fit(Toy(on_step=lambda _: clock.forward(10)), datamodule=ToyData())
    assert trainer.global_step == 7  # 100 - 1.5 * 20
    assert limit.state_dict() == {"elapsed": 70 + 20.0}


def test_no_limit_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="octosr"):
        trainer = make_trainer(tmp_path, [TimeLimit()], max_steps=3)
        trainer.fit(Toy(), datamodule=ToyData())
    assert trainer.global_step == 3
    assert "Time limit" not in caplog.text
