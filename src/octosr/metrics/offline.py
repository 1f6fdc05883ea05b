"""Other people's code, kept from the network and from running code out of weight files.

pyiqa, timm, torchvision, transformers and clip fetch weights wherever they find them missing, each in its own way and
some with a minute of retries. Inside :func:`watched_loading` the calling thread cannot: what it tries to fetch is
refused at once and noted, so that the message can name the file. Other threads are not affected (loggers keep their
connection), nor is what stays on this machine.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import torch

logger = logging.getLogger(__name__)


class Refusal(NamedTuple):
    """Something that was not fetched: its address, and the file it would have become (if that is known)."""

    url: str
    target: str


class DownloadRefusedError(OSError):
    """A library tried to use the network where it may not."""


class _Watch(threading.local):
    refusals: list[Refusal] | None = None


_watch = _Watch()
_installed = threading.Lock()
_hooked = False
_one_at_a_time = threading.RLock()


@contextmanager
def watched_loading(allow_downloads: bool) -> Iterator[list[Refusal]]:
    """Run code that may load weights: no network unless allowed, no pickles that run code.

    Args:
        allow_downloads: leave the network alone.

    Yields:
        A list that fills with what was refused, also where the code around swallowed the error.
    """
    refusals: list[Refusal] = []
    with _one_at_a_time, ExitStack() as stack:
        stack.enter_context(swapped(torch, "load", _only_weights(torch.load)))
        if not allow_downloads:
            _install_hook()
            hub = sys.modules.get("huggingface_hub.constants")
            if hub is not None:  # else it asks again and again before it gives up
                stack.enter_context(swapped(hub, "HF_HUB_OFFLINE", True))
            for name in ("torch.hub", "pyiqa.utils.download_util", "timm.models._hub"):
                if name in sys.modules:
                    original = sys.modules[name].download_url_to_file
                    stack.enter_context(swapped(sys.modules[name], "download_url_to_file", _refusing(original)))
            before, _watch.refusals = _watch.refusals, refusals
            stack.callback(setattr, _watch, "refusals", before)
        yield refusals


def describe(refusals: list[Refusal]) -> str:
    """What was refused, in words: file names first, since those are what one has to get."""
    parts = []
    for url, target in dict.fromkeys(refusals):
        name = Path(target).name if target else url.rsplit("/", 1)[-1] or url
        place = f" at {target}" if target else ""
        parts.append(f"the file {name}{place} (from {url})" if "/" in url else f"a file from {url}")
    return " and ".join(parts)


def _only_weights(load: Callable[..., Any]) -> Callable[..., Any]:
    thread = threading.get_ident()

    def load_weights(*args: Any, **options: Any) -> Any:
        if threading.get_ident() == thread:
            options["weights_only"] = True
        return load(*args, **options)

    return load_weights


def _refusing(download: Callable[..., Any]) -> Callable[..., Any]:
    thread = threading.get_ident()

    def refuse(url: str, dst: str, *args: Any, **options: Any) -> Any:
        if threading.get_ident() == thread:
            _refuse(url, str(dst))
        return download(url, dst, *args, **options)

    return refuse


def _refuse(url: str, target: str = "") -> None:
    assert _watch.refusals is not None
    _watch.refusals.append(Refusal(url, target))
    raise DownloadRefusedError(f"{url} may not be fetched")


def _install_hook() -> None:
    """Python's audit events tell of every connection, whatever library makes it; a hook stays for good."""
    global _hooked
    with _installed:
        if not _hooked:
            sys.addaudithook(_on_event)
            _hooked = True


def _on_event(event: str, args: tuple[Any, ...]) -> None:
    if _watch.refusals is None:
        return
    if event == "urllib.Request" or (event == "socket.getaddrinfo" and not _is_local(args[0])):
        _refuse(str(args[0]))
    elif event == "socket.connect" and isinstance(args[1], tuple) and not _is_local(args[1][0]):
        _refuse(str(args[1][0]))


def _is_local(host: Any) -> bool:
    return host is None or host in ("", "localhost", "::1", b"localhost") or str(host).startswith("127.")


class _LogLines(io.TextIOBase):
    """Takes what libraries print, such as "Downloading ..." before they are refused."""

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()

    def write(self, text: str) -> int:
        if getattr(self._here, "logging", False):  # a handler that fails prints so, to what is now this stream
            return sys.__stderr__.write(text) if sys.__stderr__ else len(text)
        self._here.logging = True
        try:
            if text.strip():
                logger.debug(text.strip())
        finally:
            self._here.logging = False
        return len(text)


@contextmanager
def quiet() -> Iterator[None]:
    """What is printed meanwhile goes to the log (level debug)."""
    lines = _LogLines()
    with redirect_stdout(lines), redirect_stderr(lines):
        yield


@contextmanager
def swapped(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute of a module for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
