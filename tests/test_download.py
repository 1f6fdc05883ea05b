import hashlib
import os

import pytest

from download_server import Play, serve
from octosr.download import ATTEMPTS, download
from octosr.errors import DownloadError

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def fetch(play, path, **settings):
    with serve(play) as url:
        return download(url, path, **({"sha256": SHA256, "pause": 0.0} | settings))


def visible(folder):
    """What lies in the folder but for the lock."""
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.endswith(".lock"))


def test_the_file_comes_whole_and_alone_and_is_not_fetched_twice(tmp_path):
    play, seen = Play(CONTENT), []
    path = tmp_path / "folder" / "a.pth"
    assert fetch(play, path, size=len(CONTENT), progress=lambda *state: seen.append(state)) == SHA256
    assert path.read_bytes() == CONTENT
    assert visible(path.parent) == ["a.pth"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert fetch(play, path) == SHA256
    assert len(play.requests) == 1


@pytest.mark.parametrize("etag", ['"one"', None])
def test_a_broken_download_goes_on_where_it_stopped(tmp_path, etag):
    play = Play(CONTENT, etag, cuts=[100_000, 50_000])
    assert fetch(play, tmp_path / "a.pth") == SHA256
    assert [request.get("Range") for request in play.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert play.requests[1].get("If-Range") == etag


def test_a_later_call_goes_on_as_well(tmp_path):
    path = tmp_path / "a.pth"
    play = Play(CONTENT, cuts=[100_000] + [0] * ATTEMPTS)
    with serve(play) as url:
        with pytest.raises(DownloadError, match=r"ended early \(4 times in a row\)\. 100000 bytes are kept"):
            download(url, path, sha256=SHA256, pause=0)
        assert not path.exists()
        assert download(url, path, sha256=SHA256, pause=0) == SHA256
    assert play.requests[-1]["Range"] == "bytes=100000-"
    assert path.read_bytes() == CONTENT
    assert visible(tmp_path) == ["a.pth"]


def test_a_server_that_ignores_ranges_is_read_from_the_start(tmp_path):
    play = Play(CONTENT, cuts=[100_000], ranges=False)
    assert fetch(play, tmp_path / "a.pth") == SHA256
    assert play.requests[1]["Range"] == "bytes=100000-"


def test_another_part_than_asked_for_is_not_taken(tmp_path):
    play = Play(CONTENT, cuts=[100_000], shift=5)
    assert fetch(play, tmp_path / "a.pth") == SHA256
    assert [request.get("Range") for request in play.requests] == [None, "bytes=100000-", None]


def test_without_a_hash_a_file_that_changed_is_not_mixed(tmp_path):
    path = tmp_path / "a.pth"
    new = os.urandom(200_000)
    play = Play(CONTENT, cuts=[100_000] + [0] * ATTEMPTS)
    with serve(play) as url:
        with pytest.raises(DownloadError, match="kept"):
            download(url, path, sha256=None, pause=0)
        play.content, play.etag = new, '"two"'
        assert download(url, path, sha256=None, pause=0) == hashlib.sha256(new).hexdigest()
    assert path.read_bytes() == new


def test_without_hash_and_validator_it_starts_over(tmp_path):
    path = tmp_path / "a.pth"
    play = Play(CONTENT, None, cuts=[100_000] + [0] * ATTEMPTS)
    with serve(play) as url:
        with pytest.raises(DownloadError, match="times in a row"):
            download(url, path, sha256=None, pause=0)
        assert download(url, path, sha256=None, pause=0) == SHA256
    assert "Range" not in play.requests[-1]


def test_a_whole_part_needs_no_more_bytes(tmp_path):
    (tmp_path / ".a.pth.part").write_bytes(CONTENT)
    play = Play(CONTENT)
    with serve(play) as url:
        note = f'{{"origin": {{"url": "{url}", "sha256": "{SHA256}"}}, "validator": null}}'
        (tmp_path / ".a.pth.part.json").write_text(note)
        assert download(url, tmp_path / "a.pth", sha256=SHA256) == SHA256
    assert play.requests[0]["Range"] == f"bytes={len(CONTENT)}-"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_wrong_hash_is_refused_and_removed(tmp_path, chunked):
    with pytest.raises(DownloadError, match=f"sha256 is {SHA256}, but {'0' * 64} was expected. What came was removed"):
        fetch(Play(CONTENT, chunked=chunked), tmp_path / "a.pth", sha256="0" * 64)
    assert visible(tmp_path) == []


def test_a_wrong_size_is_refused_before_and_while_it_comes(tmp_path):
    with pytest.raises(DownloadError, match=r"has 300000 bytes, but 299999 were expected\. Nothing was downloaded"):
        fetch(Play(CONTENT), tmp_path / "a.pth", size=299_999)
    with pytest.raises(DownloadError, match="sends more than the 299999 bytes expected"):
        fetch(Play(CONTENT, chunked=True), tmp_path / "a.pth", size=299_999)
    assert visible(tmp_path) == []


def test_what_lies_there_with_another_hash_is_neither_used_nor_removed(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"mine")
    play = Play(CONTENT)
    with pytest.raises(DownloadError, match=r"Remove .*a\.pth to download it again"):
        fetch(play, tmp_path / "a.pth")
    assert (tmp_path / "a.pth").read_bytes() == b"mine"
    assert not play.requests


@pytest.mark.parametrize(("status", "message"), [(401, "a name and a password"), (404, r"no such file \(404\)")])
def test_what_a_server_refuses_is_not_asked_for_again(tmp_path, status, message):
    play = Play(CONTENT, status=status)
    with pytest.raises(DownloadError, match=message):
        fetch(play, tmp_path / "a.pth")
    assert len(play.requests) == 1


def test_a_server_in_trouble_is_asked_again(tmp_path):
    play = Play(CONTENT, status=503)
    with pytest.raises(DownloadError, match=r"answered 503 .*\(4 times in a row\)\.$"):
        fetch(play, tmp_path / "a.pth")
    assert len(play.requests) == ATTEMPTS


@pytest.mark.parametrize(
    "address", ["ftp://example.org/a", "file:///etc/passwd", "http://example.org/a.pth", "https:///a", "a.pth"]
)
def test_other_addresses_are_refused_as_such_and_as_redirects(tmp_path, address):
    with pytest.raises(DownloadError, match="only https:// addresses"):
        download(address, tmp_path / "a.pth", sha256=None)
    if ":" in address:
        with pytest.raises(DownloadError, match=r"only https:// addresses|is not allowed"):
            fetch(Play(CONTENT, redirect=address), tmp_path / "a.pth")
    assert visible(tmp_path) == []


def test_a_redirect_to_an_allowed_address_is_followed(tmp_path):
    with serve(Play(CONTENT)) as target:
        assert fetch(Play(b"", redirect=target), tmp_path / "a.pth") == SHA256


def test_nobody_listens(tmp_path):
    with serve(Play(CONTENT)) as url:
        pass
    with pytest.raises(DownloadError, match="refused"):
        download(url, tmp_path / "a.pth", sha256=SHA256, pause=0)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"file/a\.pth cannot be written"):
        fetch(Play(CONTENT), tmp_path / "file" / "a.pth")


def test_a_full_disk_is_seen_before_it_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(DownloadError, match="has 0 MiB free"):
        fetch(Play(CONTENT), tmp_path / "a.pth")
