import io
import logging
import socket
import sys
import threading
import urllib.request

import pytest
import torch

from octosr.metrics.offline import DownloadRefusedError, Refusal, describe, quiet, watched_loading


def test_every_way_to_the_network_is_refused_at_once_and_noted():
    with watched_loading(allow_downloads=False) as refusals:
        for attempt in (
            lambda: urllib.request.urlopen("https://example.org/a.pth"),
            lambda: torch.hub.download_url_to_file("https://example.org/b.pth", "/tmp/b.pth"),
            lambda: torch.hub.load_state_dict_from_url("https://example.org/c.pth", model_dir="/nonexistent/c"),
            lambda: socket.create_connection(("example.org", 443)),
            lambda: socket.socket().connect(("192.0.2.1", 80)),
        ):
            with pytest.raises(OSError, match=r"example\.org|192\.0\.2\.1|nonexistent"):
                attempt()
    assert Refusal("https://example.org/b.pth", "/tmp/b.pth") in refusals
    assert Refusal("https://example.org/a.pth", "") in refusals
    assert {"example.org", "192.0.2.1"} <= {r.url for r in refusals}


def test_this_machine_stays_reachable():
    server = socket.create_server(("127.0.0.1", 0))
    with watched_loading(allow_downloads=False) as refusals:
        socket.create_connection(("localhost", server.getsockname()[1])).close()
        socket.create_connection(server.getsockname()).close()
    server.close()
    assert refusals == []


def resolve():
    sys.audit("socket.getaddrinfo", "example.org", 443, 0, 0, 0)


def test_only_this_thread_and_only_meanwhile():
    errors = []

    def elsewhere():
        try:
            resolve()
        except DownloadRefusedError as error:
            errors.append(error)

    with watched_loading(allow_downloads=False) as refusals:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        with pytest.raises(DownloadRefusedError, match=r"example\.org"):
            resolve()
    assert errors == []
    assert len(refusals) == 1
    resolve()
    with watched_loading(allow_downloads=True):
        resolve()
    with watched_loading(allow_downloads=False), watched_loading(allow_downloads=False) as inner:
        with pytest.raises(DownloadRefusedError):
            resolve()
        assert len(inner) == 1


def test_everything_is_put_back_after_an_error():
    before = torch.load, torch.hub.download_url_to_file

    def broken():
        with watched_loading(allow_downloads=False):
            assert torch.load is not before[0]
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        broken()
    assert (torch.load, torch.hub.download_url_to_file) == before


class Code:
    ran = False

    def __reduce__(self):
        return setattr, (Code, "ran", True)


@pytest.mark.parametrize("allow", [True, False])
def test_weight_files_do_not_run_code_even_where_they_are_asked_to(tmp_path, allow):
    path = tmp_path / "code.pth"
    torch.save({"params": Code()}, path)
    with watched_loading(allow), pytest.raises(Exception, match=r"[Ww]eights.only"):
        torch.load(path, weights_only=False)
    assert not Code.ran


def test_words():
    assert describe([]) == ""
    assert describe([Refusal("https://a.org/x/w.pth", "/c/w.pth")] * 2) == (
        "the file w.pth at /c/w.pth (from https://a.org/x/w.pth)"
    )
    assert describe([Refusal("https://a.org/w.pth", ""), Refusal("b.org", "")]) == (
        "the file w.pth (from https://a.org/w.pth) and a file from b.org"
    )


def test_prints_go_to_the_log(caplog, capsys):
    with caplog.at_level("DEBUG", logger="octosr"), quiet():
        print("Downloading: nothing")
        print("to stderr", file=sys.stderr)
    assert capsys.readouterr() == ("", "")
    assert caplog.messages == ["Downloading: nothing", "to stderr"]


def test_a_handler_that_fails_is_no_endless_loop(caplog):
    closed = io.StringIO()
    closed.close()
    handler = logging.StreamHandler(closed)
    logging.getLogger("octosr").addHandler(handler)
    try:
        with caplog.at_level("DEBUG", logger="octosr"), quiet():
            print("Downloading: nothing")
    finally:
        logging.getLogger("octosr").removeHandler(handler)
    assert caplog.messages == ["Downloading: nothing"]
