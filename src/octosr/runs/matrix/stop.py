"""How the matrix is told to end: once, and the cells end in good order; again, and they end at once."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Any

GRACE_SECONDS = 120.0
"""A cell that was told to end and has not by then is killed: a training writes its checkpoint in that time."""


class Stop:
    """Takes SIGTERM, SIGINT and SIGHUP while it is entered; :attr:`received` stays."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._times = 0
        self._since = 0.0
        self._told: dict[int, int] = {}
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether to end."""
        return self.received is not None

    def signal_for(self, worker: Any) -> int | None:
        """The signal to send to a process now; None if it has had it."""
        hard = self._times > 1 or time.monotonic() - self._since > GRACE_SECONDS
        number = signal.SIGKILL if hard else signal.SIGTERM
        if self._told.get(worker.pid) == number:
            return None
        self._told[worker.pid] = number
        return number

    def __enter__(self) -> Stop:
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self._since = time.monotonic()
        self.received = self.received or number
        self._times += 1
