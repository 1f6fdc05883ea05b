"""Counter-based randomness: a number is a function of (seed, sample id, stream, element), nothing else.

There is no state, so a batch draws what its samples would draw one by one, two processes draw what
one would, a resumed run draws what an uninterrupted one would, and CPU and GPU agree to the bit
(uniform numbers) or to float64 rounding (normal numbers).

The hash is SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), in int64 tensors: wrap-around multiplication
is the same for signed and unsigned words, and logical shifts are arithmetic shifts with a mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import torch
from torch import Tensor

_WORD = 1 << 64
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


class SampleRandom:
    """Random numbers of samples.

    Args:
        seed: any integer; two seeds give unrelated numbers.
    """

    def __init__(self, seed: int) -> None:
        self.seed = int(seed)

    def uniform(
        self,
        sample_ids: Tensor,
        stream: int | str,
        shape: Sequence[int] = (),
        dtype: torch.dtype = torch.float64,
    ) -> Tensor:
        """Numbers uniform in [0, 1).

        Args:
            sample_ids: int64, (B,); any values.
            stream: what the numbers are for; different streams of one sample are unrelated.
            shape: how many numbers a sample needs.
            dtype: torch.float64 (53 random bits) or torch.float32 (24 random bits).

        Returns:
            (B, *shape) on the device of ``sample_ids``.
        """
        if sample_ids.ndim != 1 or sample_ids.dtype != torch.int64:
            raise TypeError(f"sample_ids must be int64 of shape (B,), not {sample_ids.dtype} {tuple(sample_ids.shape)}")
        if dtype not in (torch.float64, torch.float32):
            raise TypeError(f"dtype must be torch.float64 or torch.float32, not {dtype}")
        bits = 53 if dtype == torch.float64 else 24
        rows = _mix(sample_ids * _signed(_GOLDEN) + _stream_key(self.seed, stream))
        element = torch.arange(1, math.prod(shape) + 1, device=sample_ids.device)
        words = _mix(rows[:, None] + element * _signed(_GOLDEN))
        # 64 bits wrap to the signed range, so the top bits are taken with a logical shift.
        return _shift(words, 64 - bits).to(dtype).mul_(2.0**-bits).reshape(len(sample_ids), *shape)

    def normal(
        self,
        sample_ids: Tensor,
        stream: int | str,
        shape: Sequence[int] = (),
        dtype: torch.dtype = torch.float64,
    ) -> Tensor:
        """Standard normal numbers (Box-Muller in float64); arguments and result as :meth:`uniform`."""
        count = math.prod(shape)
        pairs = (count + 1) // 2
        u = self.uniform(sample_ids, stream, (2, pairs))
        radius = torch.sqrt(-2.0 * torch.log1p(-u[:, 0]))  # 1 - u is in (0, 1], so the logarithm is finite
        angle = 2.0 * math.pi * u[:, 1]
        both = torch.cat((radius * torch.cos(angle), radius * torch.sin(angle)), dim=1)
        return both[:, :count].reshape(len(sample_ids), *shape).to(dtype)


@lru_cache(maxsize=1024)
def _stream_key(seed: int, stream: int | str) -> int:
    """A 64-bit key of (seed, stream), as a signed int; the type keeps stream 1 apart from stream "1"."""
    text = f"{seed}|{type(stream).__name__}|{stream}"
    return _signed(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little"))


def _signed(word: int) -> int:
    """The int64 with the bits of an unsigned 64-bit word."""
    word %= _WORD
    return word - _WORD if word >= _WORD // 2 else word


def _shift(words: Tensor, places: int) -> Tensor:
    """Logical right shift of int64."""
    return (words >> places).bitwise_and_((1 << (64 - places)) - 1)


def _mix(words: Tensor) -> Tensor:
    """SplitMix64's finaliser, a bijection of 64-bit words in which every input bit reaches every output bit."""
    words = (words ^ _shift(words, 30)).mul_(_signed(_MIX_1))
    words = words.bitwise_xor_(_shift(words, 27)).mul_(_signed(_MIX_2))
    return words.bitwise_xor_(_shift(words, 31))
