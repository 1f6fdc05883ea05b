"""A web server of this machine that misbehaves as asked, for the tests of downloads."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Play:
    """What the server has and does.

    Attributes:
        content: of the one file it has.
        etag: its strong validator; None: it says none.
        cuts: after how many bytes each of the next answers breaks off; then it behaves.
        ranges: False: it ignores them.
        chunked: it does not say how long the file is.
        status: of every answer, e.g. 404; None: it has the file.
        redirect: where every answer sends to; None: nowhere.
        shift: a range begins so many bytes later than was asked for.
        requests: the headers of the requests it got.
    """

    content: bytes
    etag: str | None = '"one"'
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    chunked: bool = False
    status: int | None = None
    redirect: str | None = None
    shift: int = 0
    requests: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serve(play: Play) -> Iterator[str]:
    """The address of the file, while the server runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            play.requests.append(dict(self.headers))
            self.close_connection = True
            if play.redirect is not None:
                self.send_response(302)
                self.send_header("Location", play.redirect)
                self.end_headers()
                return
            if play.status is not None:
                self.send_error(play.status)
                return
            self._answer()

        def _answer(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            same = self.headers.get("If-Range") in (None, play.etag)
            start = int(asked[1]) if asked and play.ranges and same else 0
            if start >= len(play.content) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(play.content)}")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                start += play.shift
                self.send_header("Content-Range", f"bytes {start}-{len(play.content) - 1}/{len(play.content)}")
            if play.etag is not None:
                self.send_header("ETag", play.etag)
            rest = play.content[start:]
            if not play.chunked:
                self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: play.cuts.pop(0)] if play.cuts else rest)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/weights.pth"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
