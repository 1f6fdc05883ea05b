"""The unfinished file of a download, and the rules of where it may come from."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from octosr import __version__
from octosr.atomic import write_bytes
from octosr.errors import DownloadError

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


def check_address(url: str) -> None:
    """Refuse everything but HTTPS, and HTTP to this machine.

    Raises:
        DownloadError: another scheme, or no host.

    >>> check_address("https://example.org/a.pth")
    >>> check_address("ftp://example.org/a.pth")
    Traceback (most recent call last):
    octosr.errors.DownloadError: ftp://example.org/a.pth is refused: only https:// addresses are downloaded.
    """
    parts = urlsplit(url)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _THIS_MACHINE)):
        return
    raise DownloadError(f"{url} is refused: only https:// addresses are downloaded.")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects by the same rules, and never from HTTPS to anything less."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        check_address(newurl)
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise DownloadError(f"{req.full_url} is refused: it redirects from https to {newurl}.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener() -> urllib.request.OpenerDirector:
    """Opens HTTP and HTTPS addresses, through the proxies that the environment names."""
    made = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        made.add_handler(handler())
    return made


class Part:
    """What has come of a file: ``.NAME.part``, and what the server said of it in ``.NAME.part.json``.

    A file whose hash is known may be continued from anywhere: a mixture would be found out. One without is continued
    only where the server can say that it is still the same (``If-Range``, RFC 9110 section 13.1.5).

    Args:
        path: of the finished file.
        url: where it comes from.
        sha256: its hash, if known.
    """

    def __init__(self, path: Path, url: str, sha256: str | None) -> None:
        self.file = path.with_name(f".{path.name}.part")
        self._note = path.with_name(f".{path.name}.part.json")
        self._origin = {"url": url, "sha256": sha256}
        note = self._read_note()
        self._validator = note.get("validator")
        if note.get("origin") != self._origin or not (sha256 or self._validator):
            self.forget()

    @property
    def length(self) -> int:
        """Bytes that are there."""
        return self.file.stat().st_size if self.file.is_file() else 0

    def headers(self) -> dict[str, str]:
        """Of the next request."""
        headers = {"User-Agent": f"octosr/{__version__}", "Accept-Encoding": "identity"}
        if self.length:
            headers["Range"] = f"bytes={self.length}-"
            if self._validator:
                headers["If-Range"] = self._validator
        return headers

    def begin(self, response: http.client.HTTPResponse) -> int | None:
        """Make ready for what a response brings: the rest of the file, or all of it anew.

        Returns:
            The length of the whole file, if the server says it.
        """
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if response.status == 206 and found and int(found[1]) == self.length:
            return None if found[2] == "*" else int(found[2])
        if response.status == 206:
            self.forget()
            raise http.client.HTTPException("it sent another part than the one asked for")
        self.forget()  # the server ignores ranges, or has another file now
        etag = response.headers.get("ETag", "")
        self._validator = etag if etag and not etag.startswith("W/") else None
        write_bytes(self._note, json.dumps({"origin": self._origin, "validator": self._validator}).encode())
        length = response.headers.get("Content-Length")
        return int(length) if length is not None and length.isdecimal() else None

    def forget(self) -> None:
        """Remove the part and what was noted of it."""
        self.file.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self._validator = None

    def _read_note(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note.read_bytes())
        except (OSError, ValueError):  # none yet, or damaged: the download starts over
            return {}
        return note if isinstance(note, dict) else {}
