"""What a run says on the screen."""

from __future__ import annotations

import logging
import sys

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


class LevelHandler(logging.StreamHandler):
    """Log lines on stderr: plain for information, with the level's name in front for anything worse."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def format(self, record: logging.LogRecord) -> str:
        """The formatted line, prefixed from WARNING upwards."""
        line = super().format(record)
        return line if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {line}"
