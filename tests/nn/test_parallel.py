"""A batch shared out over cores: when, and what becomes of errors. Values are tested with the networks that use it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from octosr.nn import parallel


def test_one_image_or_one_thread_is_not_shared_out() -> None:
    torch.set_num_threads(2)
    assert not parallel.worthwhile(torch.zeros(1, 3, 8, 8))
    assert parallel.worthwhile(torch.zeros(2, 3, 8, 8))
    assert not parallel.worthwhile(torch.zeros(2, 3, 8, 8, requires_grad=True))
    torch.set_num_threads(1)
    assert not parallel.worthwhile(torch.zeros(2, 3, 8, 8))


def test_an_error_in_a_part_comes_through() -> None:
    def fail(images: Tensor | None) -> tuple[Tensor | None, ...]:
        raise RuntimeError("from a core")

    torch.set_num_threads(2)
    with pytest.raises(RuntimeError, match="from a core"):
        parallel.run(fail, (torch.zeros(2, 3, 8, 8),), [])
