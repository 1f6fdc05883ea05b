"""Whether a process that wrote down its number is still there. No torch here."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path


def this_host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def start_of(pid: int) -> int | None:
    """When a process started, in the system's own unit (Linux); None if it is gone or the system does not tell.

    The number of a process is used again after it has ended; number and start together are not. A process that was
    killed and whose parent has not noticed yet counts as gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):  # it ended, perhaps while it was looked at
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(pid: int, start: int | None) -> bool:
    """Whether the process of that number and that start runs on this machine."""
    if sys.platform.startswith("linux"):
        found = start_of(pid)
        return found is not None and start in (None, found)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # there, but of another user
        return True
    return True
