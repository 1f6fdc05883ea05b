"""One line of the examination."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Word = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        topic: what was looked at.
        word: ``ok``; ``note``: not what it could be, but no command needs it; ``missing``: the commands in
            ``needed_by`` do not do all that they are asked for without it.
        text: what is there, or where it was looked for.
        remedy: the line that mends it.
        needed_by: commands.
    """

    topic: str
    word: Word
    text: str
    remedy: str = ""
    needed_by: tuple[str, ...] = ()


class Report(list[Finding]):
    """Findings as they are made."""

    def ok(self, topic: str, text: str) -> None:
        """It is there."""
        self.append(Finding(topic, "ok", text))

    def note(self, topic: str, text: str, remedy: str = "") -> None:
        """Nothing needs it."""
        self.append(Finding(topic, "note", text, remedy))

    def missing(self, topic: str, text: str, remedy: str, *needed_by: str) -> None:
        """Commands need it."""
        self.append(Finding(topic, "missing", text, remedy, needed_by))

    @contextmanager
    def surviving(self, topic: str, remedy: str, *needed_by: str) -> Iterator[None]:
        """Whatever goes wrong within it is a finding: a broken installation is what the doctor is called for."""
        try:
            yield
        except Exception as error:
            first = str(error).partition("\n")[0]
            self.missing(topic, f"cannot be used: {type(error).__name__}: {first}", remedy, *needed_by)
