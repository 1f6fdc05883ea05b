"""The controller of pseudo samples: where p goes and how fast, and that it forgets nothing."""

from __future__ import annotations

import pytest
import torch

from octosr.errors import ConfigError
from octosr.techniques.apa.controller import PseudoAugmentation


def perfect(controller: PseudoAugmentation, iterations: int, batch: int, seed: int = 0) -> list[float]:
    """p over time with a discriminator that gives every real image +1 and every pseudo sample -1."""
    random = torch.Generator().manual_seed(seed)
    real, pseudo = torch.ones(batch, 1, 1, 1), -torch.ones(batch, 1, 1, 1)
    path = []
    for iteration in range(1, iterations + 1):
        images, swapped = controller.replace(real, pseudo, torch.rand(batch, generator=random, dtype=torch.float64))
        assert torch.equal(images.flatten() < 0, swapped)
        controller.count(images.flatten(), swapped)
        if iteration % controller.interval == 0:
            signs = controller.adjust(batch * controller.interval)
            assert float(signs.real) == 1.0
            path.append(float(controller.p))
    return path


def test_a_perfect_discriminator_brings_p_to_a_fifth_in_a_hundred_kimg() -> None:
    batch = 64
    path = perfect(PseudoAugmentation(), 4000, batch)  # 256 kimg
    kimg = [4 * batch * (index + 1) / 1000 for index in range(len(path))]
    reached = next(k for k, p in zip(kimg, path, strict=True) if p >= 0.19)
    # With 256 signs between two changes, chance turns some of them back shortly before the end.
    assert 95 <= reached <= 110
    settled = [p for k, p in zip(kimg, path, strict=True) if k > 130]
    assert sum(settled) / len(settled) == pytest.approx(0.2, abs=0.01)
    assert max(settled) - min(settled) < 0.06


@pytest.mark.parametrize("target", [0.4, 0.8])
def test_other_targets_settle_at_half_of_what_they_leave(target: float) -> None:
    path = perfect(PseudoAugmentation(target, kimg=50.0), 4000, 64)
    settled = path[len(path) // 2 :]
    assert sum(settled) / len(settled) == pytest.approx((1 - target) / 2, abs=0.02)


def test_the_speed_is_exact_and_p_stays_within_its_bounds() -> None:
    batch, n = 4, 37
    controller = PseudoAugmentation(kimg=500.0)
    for _ in range(n):
        controller.count(torch.ones(batch), torch.zeros(batch, dtype=torch.bool))
        controller.adjust(4 * batch)
    assert float(controller.p) == pytest.approx(n * 4 * batch / (1000 * 500), rel=1e-12)
    for _ in range(2 * n):
        controller.count(-torch.ones(batch), torch.zeros(batch, dtype=torch.bool))
        controller.adjust(4 * batch)
    assert float(controller.p) == 0.0
    capped = PseudoAugmentation(kimg=0.01, most=0.3)
    for _ in range(100):
        capped.count(torch.ones(batch), torch.zeros(batch, dtype=torch.bool))
        capped.adjust(4 * batch)
    assert float(capped.p) == pytest.approx(0.3)
    fixed = PseudoAugmentation(target=None, start=0.25)
    fixed.count(torch.ones(batch), torch.zeros(batch, dtype=torch.bool))
    fixed.adjust(4 * batch)
    assert float(fixed.p) == 0.25


def test_a_resumed_controller_goes_on_with_the_same_curve() -> None:
    straight = PseudoAugmentation(kimg=50.0)
    whole = perfect(straight, 203, 16) + perfect(straight, 197, 16, seed=1)
    first, second = PseudoAugmentation(kimg=50.0), PseudoAugmentation(kimg=50.0)
    halves = perfect(first, 203, 16)  # not at a change: sums are under way
    assert float(first.sums[1]) == 3 * 16
    second.load_state_dict(first.state_dict())
    halves += perfect(second, 197, 16, seed=1)
    assert halves == whole
    assert torch.equal(second.sums, straight.sums)


def test_processes_change_p_together() -> None:
    """The signs are summed before they are compared, not the decisions."""
    one, two = PseudoAugmentation(kimg=1.0), PseudoAugmentation(kimg=1.0)
    swapped = torch.tensor([False, True, False, False])
    one.count(torch.tensor([1.0, -1.0, 2.0, 3.0]), swapped)
    two.count(torch.tensor([-1.0, -1.0, -2.0, 3.0]), swapped)
    signs = one.adjust(8, one.sums + two.sums)
    assert float(signs.shown) == pytest.approx(0.0)
    assert float(signs.real) == pytest.approx(2 / 6)
    assert float(one.p) == 0.0
    assert not one.sums.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": 1.5}, "apa_target"),
        ({"kimg": 0}, "apa_kimg"),
        ({"interval": 0}, "apa_interval"),
        ({"start": 0.5, "most": 0.4}, "apa_start <= apa_most"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PseudoAugmentation(**settings)  # type: ignore[arg-type]
