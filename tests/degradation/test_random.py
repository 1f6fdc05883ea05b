"""Counter-based randomness: reproducible by sample, and random enough."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from octosr.degradation.random import SampleRandom

WORD = (1 << 64) - 1


def splitmix64(state: int) -> int:
    """The published algorithm in unbounded integers: the output that follows ``state``."""
    z = (state + 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def test_the_reference_is_splitmix64() -> None:
    # First outputs of the published C code for seed 0.
    assert splitmix64(0) == 0xE220A8397B1DCDAF
    assert splitmix64(0x9E3779B97F4A7C15) == 0x6E789E6AA1B965F4


def test_elements_follow_splitmix64_of_the_sample() -> None:
    """Element e is output e of a SplitMix64 sequence, exactly, also where words exceed the signed range."""
    random = SampleRandom(5)
    first = random.uniform(torch.tensor([0, 1]), "s", (4,))
    from octosr.degradation.random import _mix, _signed, _stream_key  # the key is the only part not published

    key = _stream_key(5, "s") & WORD
    for sample in (0, 1):
        state = (key + sample * 0x9E3779B97F4A7C15) & WORD
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
        row = z ^ (z >> 31)
        expected = [(splitmix64((row + e * 0x9E3779B97F4A7C15) & WORD) >> 11) / 2**53 for e in range(4)]
        assert first[sample].tolist() == expected
    words = torch.tensor([_signed(w) for w in (1, 2**63, WORD)])
    assert [w & WORD for w in _mix(words + _signed(0x9E3779B97F4A7C15)).tolist()] == [
        splitmix64(w) for w in (1, 2**63, WORD)
    ]


@pytest.mark.parametrize("method", ["uniform", "normal"])
@pytest.mark.parametrize("shape", [(), (5,), (3, 4, 2)])
def test_a_batch_draws_what_its_samples_draw(method: str, shape: tuple[int, ...]) -> None:
    draw = getattr(SampleRandom(3), method)
    ids = torch.tensor([7, 0, 2**40 + 3, -1, 7])
    batch = draw(ids, "a", shape)
    assert batch.shape == (5, *shape)
    assert torch.equal(batch, torch.cat([draw(i[None], "a", shape) for i in ids]))
    assert torch.equal(batch, draw(ids.flip(0), "a", shape).flip(0))
    assert torch.equal(batch[0], batch[4])


def test_seed_stream_and_id_all_matter() -> None:
    ids = torch.arange(3)
    draws = [
        SampleRandom(seed).uniform(ids, stream)[k].item()
        for seed in (0, 1, -1, 2**64 + 5)
        for stream in ("a", "b", 1, "1")
        for k in range(3)
    ]
    assert len(set(draws)) == len(draws)


def test_uniform_numbers_are_uniform_over_ids_and_over_elements() -> None:
    for dtype in (torch.float64, torch.float32):
        over_ids = SampleRandom(0).uniform(torch.arange(50_000), "u", dtype=dtype)
        over_elements = SampleRandom(0).uniform(torch.tensor([12]), "u", (50_000,), dtype=dtype)[0]
        for sample in (over_ids, over_elements):
            assert sample.dtype == dtype
            assert 0 <= sample.min() < sample.max() < 1
            assert stats.kstest(sample.numpy(), "uniform").pvalue > 1e-3
            assert sample.mean().item() == pytest.approx(1 / 2, abs=0.006)
            assert sample.var().item() == pytest.approx(1 / 12, abs=0.002)


def test_normal_numbers_are_normal() -> None:
    for sample in (
        SampleRandom(1).normal(torch.arange(50_000), "n"),
        SampleRandom(1).normal(torch.tensor([4]), "n", (50_001,))[0],
    ):
        assert stats.kstest(sample.numpy(), "norm").pvalue > 1e-3
        assert sample.mean().item() == pytest.approx(0, abs=0.02)
        assert sample.var().item() == pytest.approx(1, abs=0.03)
        assert stats.kurtosis(sample.numpy()) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("method", ["uniform", "normal"])
def test_neighbours_are_uncorrelated(method: str) -> None:
    """Neighbouring ids, elements and streams, and the two halves of Box-Muller pairs."""
    draw = getattr(SampleRandom(2), method)
    a = draw(torch.arange(20_000), "a", (4,)).numpy()
    b = draw(torch.arange(20_000), "b", (4,)).numpy()
    pairs = [(a[:-1, 0], a[1:, 0]), (a[:, 0], b[:, 0])]
    pairs += [(a[:, i], a[:, j]) for i in range(4) for j in range(i)]
    pairs += [(a[:, i] ** 2, a[:, j] ** 2) for i in range(4) for j in range(i)]
    for x, y in pairs:
        assert abs(np.corrcoef(x, y)[0, 1]) < 4.5 / np.sqrt(len(x))


def test_wrong_ids_are_refused() -> None:
    with pytest.raises(TypeError, match="int64"):
        SampleRandom(0).uniform(torch.arange(3).float(), "a")
    with pytest.raises(TypeError, match="int64"):
        SampleRandom(0).uniform(torch.tensor(3), "a")
    with pytest.raises(TypeError, match="float16"):
        SampleRandom(0).uniform(torch.arange(3), "a", dtype=torch.float16)
