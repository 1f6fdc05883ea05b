"""Results of a function, computed in a thread of its own ahead of whoever takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

LIMIT = 2**26
"""Bytes of results that wait to be taken (64 MiB); one more may be above it."""
OVERHEAD = 2**16
"""Bytes that any result counts for, so that tiny ones are not computed without end."""


class Ahead(Generic[_Item, _Made]):
    """Calls a function with items, in their order, ahead of whoever iterates.

    Used as a context manager: leaving it ends the thread, after the call that it is in.

    Args:
        function: may raise; what it raises belongs to its item.
        items: what to call it with.
        size: bytes of a result.
        limit: bytes of waiting results at which the thread pauses.

    >>> with Ahead(lambda n: 6 // n, [1, 2, 3], size=int) as ahead:
    ...     [(item, future.result()) for item, future in ahead]
    [(1, 6), (2, 3), (3, 2)]
    """

    def __init__(
        self,
        function: Callable[[_Item], _Made],
        items: Sequence[_Item],
        size: Callable[[_Made], int],
        limit: int = LIMIT,
    ) -> None:
        self._function, self._items, self._size, self._limit = function, items, size, limit
        self._waiting: deque[tuple[_Item, Future[_Made], int]] = deque()
        self._held = 0
        self._ended = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="read-ahead")

    def __enter__(self) -> Ahead[_Item, _Made]:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def __iter__(self) -> Iterator[tuple[_Item, Future[_Made]]]:
        """Items with futures that are done."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                item, future, size = self._waiting.popleft()
                self._held -= size
                self._changed.notify_all()
            yield item, future

    def _run(self) -> None:
        for item in self._items:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._held < self._limit)
                if self._closed:
                    break
            future: Future[_Made] = Future()
            size = OVERHEAD
            try:
                made = self._function(item)
                size += self._size(made)
                future.set_result(made)
            except BaseException as error:  # handed to whoever takes the item
                future.set_exception(error)
            with self._changed:
                self._waiting.append((item, future, size))
                self._held += size
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
