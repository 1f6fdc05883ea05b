"""What techniques trained in phases share, on one whose stages are two numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from octosr.errors import ConfigError
from octosr.techniques.phased import PhasedTechnique, crop_for_lr
from octosr.techniques.phases import Schedule


class Numbers(nn.Module):
    """Two networks of one number each, and how far they are trained."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({name: nn.Linear(1, 1, bias=False) for name in ("one", "two")})
        self.steps = {"one": 0, "two": 0}


class Phased(PhasedTechnique[Numbers]):
    """Two phases, that both lower the product of all numbers."""

    def __init__(self) -> None:
        super().__init__("phased", (2, 4, 2))
        self.schedule = Schedule("all", steps={"one": 3, "two": 2}, rates={"one": 1e-2, "two": 1e-3})
        self.stage_networks = nn.ModuleDict({"x2": Numbers(), "x4": Numbers()})

    def super_resolve(self, lr: Tensor) -> Tensor:
        return lr

    def steps_done(self, stage: Numbers, name: str) -> int:
        return stage.steps[name]

    def count_step(self) -> None:
        for stage in self.all_stages():
            stage.steps[self._phase] += 1

    def require_earlier(self, name: str) -> None:
        if name == "two" and any(stage.steps["one"] == 0 for stage in self.all_stages()):
            raise ConfigError("two needs one")

    def trained_network(self, stage: Numbers, name: str) -> nn.Module:
        return stage.parts[name]

    def stage_loss(self, stage: Numbers, batch: dict[str, Tensor]) -> Tensor:
        return torch.stack([p.sum() for p in stage.parameters()]).prod()


@pytest.fixture
def technique() -> Phased:
    torch.manual_seed(0)
    return Phased()


def test_a_scale_that_comes_again_has_one_stage(technique: Phased) -> None:
    assert technique.all_stages() == [technique.stage(2), technique.stage(4)]
    assert technique.published_steps == 5


def test_the_stage_that_is_behind_decides_the_phase(technique: Phased) -> None:
    technique.stage(2).steps["one"] = 3
    assert technique.next_phase() == "one"
    technique.stage(4).steps["one"] = 3
    assert technique.next_phase() == "two"


def test_groups_are_phases_with_the_numbers_of_all_stages(technique: Phased) -> None:
    optimizer = technique.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Adam)
    for group, name in zip(optimizer.param_groups, ("one", "two"), strict=True):
        expected = [p for stage in technique.all_stages() for p in stage.parts[name].parameters()]
        assert [id(p) for p in group["params"]] == [id(p) for p in expected]


def test_only_the_phase_at_hand_trains_until_all_are_finished(
    technique: Phased, loop_over: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="octosr")
    loop = loop_over(technique, lambda number: {})
    optimizer = loop.optimizers[0]
    seen: list[tuple[str, list[float]]] = []
    while not loop.should_stop:
        before = [p.detach().clone() for p in technique.parameters()]
        phase = loop.run(len(seen), 1).phases[-1]
        seen.append((phase, [group["lr"] for group in optimizer.param_groups]))
        moved = [not torch.equal(a, b) for a, b in zip(before, technique.parameters(), strict=True)]
        assert moved == [phase == name for _ in range(2) for name in ("one", "two")]
    schedule = technique.schedule
    assert seen == [("one", [schedule.rate("one", n), 0.0]) for n in range(3)] + [
        ("two", [0.0, schedule.rate("two", n)]) for n in range(2)
    ]
    assert caplog.messages == ["phase one is finished; now two", "phase all is finished"]
    assert [len(optimizer.state[p]) > 0 for p in technique.parameters()] == [True] * 4


def test_what_a_phase_builds_on_is_asked_for(technique: Phased) -> None:
    technique.schedule = Schedule("two", technique.schedule.steps, technique.schedule.rates)
    with pytest.raises(ConfigError, match="two needs one"):
        technique.on_train_start()


def test_crops_give_lr_patches_of_the_side_or_what_there_is() -> None:
    hr = torch.arange(70 * 90.0).view(1, 1, 70, 90)
    assert torch.equal(crop_for_lr(hr, 2, 12, 8, 24, 25), hr[..., 11:59, 21:69])
    assert crop_for_lr(hr, 4, 12, 8, 24, 25).shape[-2:] == (68, 68)  # 70, cut to a multiple of 4
    assert crop_for_lr(hr, 2, None, 8, 24, 25).shape[-2:] == (70, 70)


def test_crops_that_leave_too_little_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"70 pixels leave 5 LR pixels at x4.* 49 takes a rim and 8 are needed"):
        crop_for_lr(torch.zeros(1, 3, 70, 90), 4, 12, 8, 48, 49)
