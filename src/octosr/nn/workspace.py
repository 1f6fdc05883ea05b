"""Buffers that one operation after the other uses."""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor

_own = threading.local()


class Workspace:
    """Buffers used by one operation after the other: fresh ones cost more than the arithmetic done in them."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}
        self._views: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    @staticmethod
    def of_this_thread(dtype: torch.dtype) -> Workspace:
        """The one for all work of this thread that is done before the next begins."""
        found: dict[torch.dtype, Workspace] = _own.__dict__.setdefault("workspaces", {})
        return found.setdefault(dtype, Workspace())

    def get(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """An uninitialised tensor; what was got under this name before is overwritten."""
        view = self._views.get((name, shape))
        if view is not None:
            return view
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            with torch.inference_mode(False):  # a tensor made in that mode could not be used outside it
                buffer = self._buffers[name] = like.new_empty(size)
            self._views = {key: old for key, old in self._views.items() if key[0] != name}
        view = self._views[name, shape] = buffer[:size].view(shape)
        return view
