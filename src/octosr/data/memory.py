"""How much memory is free, so that too large a set of images is refused before it is decoded."""

from __future__ import annotations

import os
from pathlib import Path

from octosr.errors import ConfigError

_SHARE = 0.8
"""Share of the free memory that decoded images may take; the rest is for the training itself."""


def available_bytes() -> int | None:
    """Free memory in bytes, within the limits of a container; None where the system does not tell."""
    limits = [value for value in (_linux_available(), _container_left(), _installed()) if value is not None]
    return min(limits) if limits else None


def check_memory(needed: int, what: str, remedy: str) -> None:
    """Refuse what does not fit.

    Args:
        needed: bytes.
        what: subject of the message, for example "The 900 images of /data/DIV2K".
        remedy: what the user can do, a sentence.

    Raises:
        ConfigError: more than is free.
    """
    available = available_bytes()
    if available is not None and needed > _SHARE * available:
        raise ConfigError(
            f"{what} take {needed / 2**30:.1f} GiB of memory once decoded, but {available / 2**30:.1f} GiB are free. "
            f"{remedy}"
        )


def _linux_available() -> int | None:
    path = Path("/proc/meminfo")
    if path.is_file():
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _container_left() -> int | None:
    """What a cgroup (version 2) still allows; files it has cached can be given back, so they count as free."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        statistics = (folder / "memory.stat").read_text(encoding="ascii").split()
    except OSError:  # no cgroup here, or another version: then there is no such limit to respect
        return None
    if not limit.isdigit():
        return None
    cached = int(statistics[statistics.index("file") + 1]) if "file" in statistics else 0
    return max(int(limit) - used + cached, 0)


def _installed() -> int | None:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return None
    pages = os.sysconf("SC_PHYS_PAGES")
    return pages * os.sysconf("SC_PAGE_SIZE") if pages > 0 else None
