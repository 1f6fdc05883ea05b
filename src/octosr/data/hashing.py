"""Stateless randomness for the training crops: the numbers of a sample depend on the seed and its id alone.

So a batch of N equals N single samples, one process equals several, and a resumed run equals one that was never
stopped. The same numbers come out on CPU and GPU, since everything is 64-bit integer arithmetic. The mixing
function is SplitMix64's (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def _signed(value: int) -> int:
    """A 64-bit pattern as the int64 that torch holds it in."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


_GAMMA = 0x9E3779B97F4A7C15
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shifted(values: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; torch's own keeps the sign."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def mix(values: Tensor) -> Tensor:
    """SplitMix64's output function, element by element; int64 in, int64 out (64-bit patterns)."""
    values = (values ^ _shifted(values, 30)) * _FIRST
    values = (values ^ _shifted(values, 27)) * _SECOND
    return values ^ _shifted(values, 31)


def random_integers(seed: int, sample_ids: Tensor, stream: int, high: Tensor | int) -> Tensor:
    """One uniform integer a sample.

    Args:
        seed: the run's seed, any integer.
        sample_ids: (B,) int64.
        stream: which of a sample's independent numbers, a small integer.
        high: exclusive upper limit, below 2^31; an integer or (B,) int64.

    Returns:
        (B,) int64 in [0, high), on the device of ``sample_ids``. The bias is below ``high / 2^32``.
    """
    start = torch.tensor(_signed(seed * _GAMMA + _GAMMA), dtype=torch.int64, device=sample_ids.device)
    # Twice mixed: ids and seeds are consecutive numbers, and must not share their patterns.
    state = mix(mix(start) ^ mix(sample_ids + _signed(_GAMMA)))
    return (_shifted(mix(state + _signed((stream + 1) * _GAMMA)), 32) * high) >> 32


def unit_hash(text: str) -> float:
    """A number in [0, 1) that depends on the text alone, the same on every machine and in every version."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:6], "big") / 2**48
