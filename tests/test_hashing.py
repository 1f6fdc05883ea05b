import hashlib
import json
import os
import time

import pytest

from octosr import hashing
from octosr.hashing import cached_sha256, file_sha256, hash_folder


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashing, "REMEMBERED_FROM", 10)
    monkeypatch.setattr(hashing, "SETTLED_NS", 0)
    return tmp_path / "cache" / "octosr" / "sha256"


@pytest.fixture
def reads(monkeypatch):
    """The files that were really read."""
    seen = []
    monkeypatch.setattr(hashing, "file_sha256", lambda path: seen.append(path) or file_sha256(path))
    return seen


def write(path, content):
    path.write_bytes(content)
    time.sleep(0.01)  # so that it is older than now on coarse clocks
    return hashlib.sha256(content).hexdigest()


def test_a_large_file_is_read_once(tmp_path, reads, folder):
    path = tmp_path / "weights.pt"
    digest = write(path, b"0123456789")
    assert hash_folder() == folder
    assert [cached_sha256(path) for _ in range(3)] == [digest] * 3
    assert len(reads) == 1
    assert len(list(folder.iterdir())) == 1  # and no temporary file


def test_small_files_leave_no_trace(tmp_path, reads, folder):
    path = tmp_path / "small"
    digest = write(path, b"012345678")
    assert [cached_sha256(path), cached_sha256(path)] == [digest, digest]
    assert len(reads) == 2
    assert not folder.exists()


def test_a_changed_file_is_hashed_again_even_with_its_old_date_and_size(tmp_path, reads):
    path = tmp_path / "weights.pt"
    write(path, b"0123456789")
    cached_sha256(path)
    before = path.stat()
    digest = write(path, b"9876543210")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert cached_sha256(path) == digest
    other = tmp_path / "other.pt"
    replaced = write(other, b"abcdefghij")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, path)
    assert cached_sha256(path) == replaced
    assert len(reads) == 3


def test_a_file_changed_just_now_is_not_remembered(tmp_path, reads, monkeypatch, folder):
    monkeypatch.setattr(hashing, "SETTLED_NS", 60_000_000_000)
    path = tmp_path / "weights.pt"
    write(path, b"0123456789")
    cached_sha256(path)
    cached_sha256(path)
    assert len(reads) == 2
    assert not folder.exists()


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path, monkeypatch, folder):
    path = tmp_path / "weights.pt"
    write(path, b"0123456789")

    def read(p):
        write(p, b"0123456789abc")
        return "0" * 64

    monkeypatch.setattr(hashing, "file_sha256", read)
    cached_sha256(path)
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"sha256": 3}'])
def test_a_damaged_memory_is_replaced(tmp_path, reads, folder, content):
    path = tmp_path / "weights.pt"
    digest = write(path, b"0123456789")
    cached_sha256(path)
    (memory,) = folder.iterdir()
    memory.write_bytes(content)
    assert cached_sha256(path) == digest
    assert json.loads(memory.read_bytes())["sha256"] == digest
    assert len(reads) == 2


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path, reads, folder):
    folder.parent.parent.write_bytes(b"a file where the cache folder should be")
    path = tmp_path / "weights.pt"
    digest = write(path, b"0123456789")
    assert [cached_sha256(path), cached_sha256(path)] == [digest, digest]
    assert len(reads) == 2


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        cached_sha256(tmp_path / "nowhere")
