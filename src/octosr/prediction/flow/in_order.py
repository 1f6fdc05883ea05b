"""Tasks one after the other, on workers that others use too."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future


class InOrder:
    """Tasks that are done one after the other, on whatever worker is free. Once one has failed the rest fail too.

    Args:
        workers: who does them.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(4) as workers:
    ...     tasks, found = InOrder(workers), []
    ...     futures = [tasks.submit(lambda n=n: found.append(n)) for n in range(5)]
    >>> found
    [0, 1, 2, 3, 4]
    """

    def __init__(self, workers: Executor) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._busy = False
        self._error: BaseException | None = None

    def submit(self, task: Callable[[], None]) -> Future[None]:
        """The future of a task."""
        future: Future[None] = Future()
        with self._lock:
            self._waiting.append((task, future))
            if self._busy:
                return future
            self._busy = True
        self._workers.submit(self._run)
        return future

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                task, future = self._waiting.popleft()
            try:
                if self._error is None:
                    task()
            except BaseException as error:  # handed to whoever asks for the result
                self._error = error
            if self._error is None:
                future.set_result(None)
            else:
                future.set_exception(self._error)
