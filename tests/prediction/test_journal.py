"""What counts as done: the file's own bytes, made from these bytes by this recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from octosr.errors import ConfigError
from octosr.hashing import file_sha256
from octosr.prediction.journal import FILE, Journal


def made(folder: Path, key: str = "k1") -> tuple[Journal, Path, Path]:
    """A journal that knows one result, the result and its source."""
    source, target = folder / "source.png", folder / "out" / "a.png"
    target.parent.mkdir()
    source.write_bytes(b"source")
    target.write_bytes(b"result")
    journal = Journal(target.parent, key, {"technique": "bicubic"})
    journal.add("a.png", file_sha256(target), source, height=8, width=8)
    return journal, target, source


def test_states(tmp_path: Path) -> None:
    journal, target, source = made(tmp_path)
    for known in (journal, Journal(target.parent, "k1", {})):
        assert known.state("a.png", target, source) == "current"
    assert Journal(target.parent, "k2", {}).state("a.png", target, source) == "outdated"
    assert journal.state("b.png", target.with_name("b.png"), source) == "absent"
    target.with_name("b.png").write_bytes(b"somebody's")
    assert journal.state("b.png", target.with_name("b.png"), source) == "foreign"
    source.write_bytes(b"changed")
    assert journal.state("a.png", target, source) == "outdated"
    source.write_bytes(b"source")
    target.write_bytes(b"retouched")
    assert journal.state("a.png", target, source) == "foreign"
    target.unlink()
    assert journal.state("a.png", target, source) == "absent"
    target.mkdir()
    assert journal.state("a.png", target, source) == "foreign"


def test_a_recipe_is_written_once_and_every_image_names_it(tmp_path: Path) -> None:
    journal, target, source = made(tmp_path)
    journal.add("b.png", "0" * 64, source)
    Journal(target.parent, "k1", {}).add("c.png", "1" * 64, source)
    Journal(target.parent, "k2", {"technique": "dan"}).add("c.png", "2" * 64, source)
    lines = [json.loads(line) for line in (target.parent / FILE).read_text().splitlines()]
    assert [line["recipe"] for line in lines if "made_with" in line] == ["k1", "k2"]
    assert [(line["output"], line["recipe"]) for line in lines if "output" in line] == [
        ("a.png", "k1"),
        ("b.png", "k1"),
        ("c.png", "k1"),
        ("c.png", "k2"),
    ]
    assert lines[1]["height"] == 8


def test_a_kill_while_a_line_is_appended_costs_that_line_only(tmp_path: Path) -> None:
    _, target, source = made(tmp_path)
    path = target.parent / FILE
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"output": "b.png", "sha2')
    again = Journal(target.parent, "k1", {})
    assert again.state("a.png", target, source) == "current"
    again.add("b.png", "0" * 64, source)
    assert len(Journal(target.parent, "k1", {})._made) == 2
    assert path.read_bytes().startswith(whole)


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"output": "x"}', b"3", b"\xff"])
def test_damage_is_named(tmp_path: Path, line: bytes) -> None:
    _, target, _ = made(tmp_path)
    path = target.parent / FILE
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(ConfigError, match=r"provenance\.jsonl: line 3 is damaged"):
        Journal(target.parent, "k1", {})


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    journal, target, source = made(tmp_path)
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    odd = target.with_name(name)
    odd.write_bytes(b"x")
    journal.add(name, file_sha256(odd), source)
    assert Journal(target.parent, "k1", {}).state(name, odd, source) == "current"
