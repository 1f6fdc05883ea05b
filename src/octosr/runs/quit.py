"""SIGTERM and Ctrl-C end an evaluation within seconds."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_BOTH = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def end_on_signal(*numbers: int) -> Iterator[None]:
    """Within it, signals raise SystemExit with ``128 + signal``, as shells report it.

    Lightning takes SIGTERM over while it predicts, notes it, and looks at the note only when it trains; a handler that
    was there before it is called too. Images and tables are written whole or not at all, so an evaluation may be left
    anywhere. Does nothing but in the main thread, which alone can take signals.

    Args:
        numbers: of the signals; SIGTERM and SIGINT if none are given.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in numbers or _BOTH}
    for number in before:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
