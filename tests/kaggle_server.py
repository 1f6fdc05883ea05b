"""Kaggle's part in the tests: the answers that kagglehub asks for, as a proxy for http://localhost.

kagglehub speaks to ``http://localhost`` where KAGGLE_API_ENVIRONMENT=LOCALHOST; a proxy of ours for plain HTTP then
stands between, whatever port it has.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse


@dataclass
class Kaggle:
    """What the server gives, and what it was asked.

    Attributes:
        archive: bytes of the dataset.
        status: answer with this instead of the archive.
        cut: break the first download off after so many bytes.
        wrong_hash: state another MD5 than the archive has.
        asked: what was asked for: path, Range header, and who asked.
    """

    archive: bytes = b""
    status: int = 200
    cut: int | None = None
    wrong_hash: bool = False
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    address: str = ""

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables under which kagglehub asks this server, and finds no key."""
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": self.address,
            "HTTP_PROXY": self.address,
            "KAGGLE_CONFIG_DIR": str(folder / "kaggle"),
            "HOME": str(folder),
        }


class _Handler(BaseHTTPRequestHandler):
    kaggle: Kaggle

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._note()
        name = urlparse(self.path).path.rsplit("/", 1)[-1]
        if name == "GetDataset":
            self._answer(200, json.dumps({"currentVersionNumber": 3}).encode(), {"Content-Type": "application/json"})
        elif self.kaggle.status != 200:
            said = json.dumps({"code": self.kaggle.status, "message": "no"}).encode()
            self._answer(self.kaggle.status, said, {"Content-Type": "application/json"})
        else:
            self._answer(302, b"", {"Location": "http://localhost/stored/archive.zip"})

    def do_GET(self) -> None:
        self._note()
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        digest = hashlib.md5(self.kaggle.archive + b"x" * self.kaggle.wrong_hash).digest()
        headers = {"Accept-Ranges": "bytes", "x-goog-hash": f"md5={base64.b64encode(digest).decode()}"}
        self._answer(206 if asked else 200, self.kaggle.archive[start:], headers)

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.kaggle.cut is not None and status == 200 and "Accept-Ranges" in headers:
            content, self.kaggle.cut = content[: self.kaggle.cut], None
        self.wfile.write(content)

    def _note(self) -> None:
        self.kaggle.asked.append(
            (urlparse(self.path).path, self.headers.get("Range"), self.headers.get("Authorization"))
        )

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def kaggle_server() -> Iterator[Kaggle]:
    """A server on a free port of this machine, while the context lasts."""
    kaggle = Kaggle()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"kaggle": kaggle}))
    kaggle.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kaggle
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
