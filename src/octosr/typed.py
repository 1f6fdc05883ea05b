"""How our commands are typed here: messages that name the next one must be right for the reader."""

from __future__ import annotations

import os
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]
VARIABLE = "OCTOSR_TYPED"
"""Environment variable, so that processes which a command starts say the same."""


def typed(verb: str) -> str:
    """The beginning of a command line: ``python eval.py`` in a checkout, else ``octosr eval``.

    Args:
        verb: ``train``, ``eval``, ``prepare``, ...

    >>> typed("no-such-script")
    'octosr no-such-script'
    """
    script = f"{verb}.py"
    if os.environ.get(VARIABLE) == "console" or not (_CHECKOUT / script).is_file():
        return f"octosr {verb}"
    return f"python {script}"


def typed_with_console_command() -> None:
    """From now on every command is named as the console command's verb: the reader has just typed that."""
    os.environ[VARIABLE] = "console"
