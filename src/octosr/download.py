"""Files fetched from the internet: resumed where a connection broke, verified before they appear under their name.

Nothing here runs unless a person asked for a download. Only HTTPS is spoken (plain HTTP to this machine alone, where
there is nobody in between), also after redirects.
"""

from __future__ import annotations

import http.client
import logging
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from octosr.download_part import Part, check_address, opener
from octosr.errors import DownloadError
from octosr.hashing import file_sha256

log = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be (None: the server does not say)."""

ATTEMPTS = 4
"""How often in a row a connection may break without a byte having come."""
_BLOCK = 1 << 18
_PERMANENT = {400, 401, 403, 404, 405, 410, 451}


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None,
    size: int | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> str:
    """Fetch a file, or find it there already.

    What has come lies in ``.NAME.part`` beside ``path``; a broken download goes on from there, in the same call or in
    a later one. The file takes its name in one step, when size and hash are right. Several processes may call this for
    the same file: one fetches, the others wait.

    Args:
        url: ``https://...``; ``http://`` only on this machine.
        path: where the file shall lie; its folder is made.
        sha256: hash it must have, 64 hexadecimal digits; None: whatever comes is kept.
        size: length in bytes that it must have, if known.
        progress: see :data:`Progress`.
        timeout: seconds without a byte after which a connection counts as broken.
        pause: seconds before a broken connection is tried again, doubled each time.

    Returns:
        The sha256 of the file.

    Raises:
        DownloadError: no network, refused by the server, another size or hash than expected, or the disk is full; what
            has come with a wrong hash is removed.
    """
    check_address(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.is_file():
                return _verified(url, path, sha256, size, f"Remove {path} to download it again.")
            part = Part(path, url, sha256)
            _fetch(url, part, size, progress, timeout, pause)
            try:
                found = _verified(url, part.file, sha256, size, "What came was removed.")
            except DownloadError:
                part.forget()
                raise
            os.replace(part.file, path)
            part.forget()
            return found
    except OSError as error:  # of the disk: those of the network are taken care of in _fetch
        raise DownloadError(
            f"{path} cannot be written ({error.strerror or error}). Mend that: the same command goes on."
        ) from error


def _verified(url: str, path: Path, sha256: str | None, size: int | None, remedy: str) -> str:
    """The hash of a file that has the size and the hash expected."""
    length, found = path.stat().st_size, file_sha256(path)
    if size is not None and length != size:
        raise DownloadError(f"{url}: {length} bytes instead of {size}. {remedy}")
    if sha256 is not None and found != sha256.lower():
        raise DownloadError(
            f"{url}: the sha256 is {found}, but {sha256.lower()} was expected. {remedy} Either another file lies "
            "there now or it was changed on the way: find out which before you use it."
        )
    return found


def _fetch(url: str, part: Part, size: int | None, progress: Progress | None, timeout: float, pause: float) -> None:
    """Fill the part, going on after broken connections as long as each brings something."""
    failures = 0
    while True:
        before = part.length
        try:
            if _once(url, part, size, progress, timeout):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _PERMANENT or 300 <= error.code < 400:  # 3xx: a redirect that is not followed
                raise DownloadError(f"{url} cannot be downloaded: {_meaning(error)}") from error
            if error.code == 416:  # there is nothing beyond what has come: it is whole, or of another file
                if error.headers.get("Content-Range") == f"bytes */{part.length}":
                    return
                part.forget()
            reason = f"the server answered {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            reason = str(cause) or type(cause).__name__
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise DownloadError(f"{url} cannot be downloaded: its server is not who it says ({reason}).") from error
        failures = 0 if part.length > before else failures + 1
        if failures == ATTEMPTS:
            kept = f" {part.length} bytes are kept: the same command goes on." if part.length else ""
            raise DownloadError(f"{url} cannot be downloaded: {reason} ({ATTEMPTS} times in a row).{kept}")
        log.info("%s: %s after %d bytes; trying again", url, reason, part.length)
        time.sleep(pause * 2 ** max(failures - 1, 0))


def _once(url: str, part: Part, size: int | None, progress: Progress | None, timeout: float) -> bool:
    """One request; whether the file is whole now."""
    if size is not None and part.length == size:
        return True
    request = urllib.request.Request(url, headers=part.headers())  # noqa: S310 (the scheme is checked)
    with opener().open(request, timeout=timeout) as response:
        total = part.begin(response)
        if size is not None and total is not None and total != size:
            part.forget()
            raise DownloadError(f"{url} has {total} bytes, but {size} were expected. Nothing was downloaded.")
        most = size if size is not None else total
        _check_room(part, most)
        with part.file.open("ab") as stream:
            while block := _read(response):
                stream.write(block)
                if most is not None and stream.tell() > most:
                    part.forget()
                    raise DownloadError(f"{url} sends more than the {most} bytes expected. What came was removed.")
                if progress is not None:
                    progress(stream.tell(), most)
            stream.flush()
            os.fsync(stream.fileno())
    return most is None or part.length == most


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK)
    except OSError as error:  # told apart from the disk's
        raise http.client.HTTPException(str(error) or type(error).__name__) from error


def _check_room(part: Part, most: int | None) -> None:
    free = shutil.disk_usage(part.file.parent).free
    if most is not None and most - part.length > free:
        raise DownloadError(
            f"{part.file.parent} has {free >> 20} MiB free, but {(most - part.length) >> 20} MiB are needed."
        )


def _meaning(error: urllib.error.HTTPError) -> str:
    words = {
        401: "it asks for a name and a password",
        403: "access is forbidden",
        404: "there is no such file",
        410: "the file is there no longer",
    }
    return f"{words.get(error.code, error.reason)} ({error.code})."
