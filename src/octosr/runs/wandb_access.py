"""How W&B is reached: online or offline, where its files go, and what it is never sent. No torch here."""

from __future__ import annotations

import netrc
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlparse

from octosr.errors import ConfigError, nearest

Mode = Literal["online", "offline", "disabled"]
MODES: tuple[Mode, ...] = get_args(Mode)
_SECRET = re.compile(r"(key|token|secret|password|passwd|credential)s?$", re.IGNORECASE)


def keep_under(root: Path) -> None:
    """Make the folder of W&B's files, its caches among them, which would be in the home folder otherwise."""
    root.mkdir(parents=True, exist_ok=True)
    for variable, folder in (
        ("WANDB_CACHE_DIR", "cache"),
        ("WANDB_DATA_DIR", "data"),
        ("WANDB_ARTIFACT_DIR", "artifacts"),
    ):
        os.environ.setdefault(variable, str(root / folder))


def wandb_mode(asked: str | None) -> Mode:
    """``online``, ``offline`` or ``disabled``: what is asked for, else WANDB_MODE, else by whether there is a key.

    Raises:
        ConfigError: another mode.
    """
    mode = asked or os.environ.get("WANDB_MODE")
    if mode is None:
        mode = "online" if has_wandb_key() else "offline"
    mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)  # names of old
    if mode not in MODES:
        raise ConfigError(f"logger.mode must be one of {', '.join(MODES)}, but got {mode!r}.{nearest(mode, MODES)}")
    return mode


def has_wandb_key() -> bool:
    """Whether a W&B key is configured: in the environment, a netrc file or wandb's settings. Asks no server."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    for path in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        file = Path(path).expanduser() if path else None
        if file is not None and file.is_file() and netrc.netrc(file).authenticators(host):
            return True
    import wandb

    return bool(wandb.setup().settings.api_key)


def without_secrets(value: Any) -> Any:
    """A copy of a nested config without the entries whose name says that they are secret."""
    if isinstance(value, Mapping):
        return {k: without_secrets(v) for k, v in value.items() if not _SECRET.search(str(k))}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value
