"""Which images go together: neighbours of one size, as many as there may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import NamedTuple

from octosr.prediction.enlarge import Ready
from octosr.prediction.flow.sizes import BatchSizes
from octosr.prediction.inputs import Job
from octosr.prediction.picture import Picture


class Item(NamedTuple):
    """A file that has been read, or why it cannot be."""

    job: Job
    ready: Ready | None
    error: Exception | None

    @property
    def picture(self) -> Picture | None:
        """What goes in a batch; None: a GeoTIFF, or unreadable."""
        return None if self.ready is None else self.ready.picture


def groups(read: Iterable[tuple[Job, Future[Ready]]], sizes: BatchSizes) -> Iterator[list[Item]]:
    """Images that follow each other and go together; files between them that cannot be read go with them.

    Args:
        read: files in their order, with futures that are done.
        sizes: how many go together; asked anew for each group.
    """
    group: list[Item] = []
    first: Picture | None = None
    members = most = 0
    for job, future in read:
        item = _item(job, future)
        picture = item.picture
        if item.error is None and (picture is None or first is None or picture.size != first.size):
            if group:
                yield from _apart_if_few(group, members, sizes)
            group, members, first = [], 0, picture
            most = 1 if picture is None else sizes.most(picture)
        group.append(item)
        members += item.error is None
        if members >= most:
            yield from _apart_if_few(group, members, sizes)
            group, members, first, most = [], 0, None, 0
    if group:
        yield from _apart_if_few(group, members, sizes)


def _apart_if_few(group: list[Item], members: int, sizes: BatchSizes) -> list[list[Item]]:
    return [group] if members >= sizes.least else [[item] for item in group]


def _item(job: Job, future: Future[Ready]) -> Item:
    error = future.exception()
    if error is None:
        return Item(job, future.result(), None)
    if not isinstance(error, Exception):
        raise error
    return Item(job, None, error)
