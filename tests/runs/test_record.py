"""What is noted of a run beside every number it makes."""

from __future__ import annotations

import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch

import octosr
from octosr.runs import record


def test_a_record_says_when_with_what_and_where() -> None:
    found = record.run_record(torch.device("cpu"), "32-true")
    assert abs((datetime.fromisoformat(found["date"]) - datetime.now(timezone.utc)).total_seconds()) < 60
    assert found["versions"]["torch"] == torch.__version__
    assert found["octosr"] == octosr.__version__
    assert (found["device"], found["precision"]) == ("cpu", "32-true")
    assert record.run_record(None, "32-true")["device"] == "none"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder inside a git repository."""
    folder = tmp_path / "repository" / "octosr"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    git(folder, "init", "--quiet")
    monkeypatch.setattr(octosr, "__file__", str(folder / "__init__.py"))
    record.commit.cache_clear()
    yield folder
    record.commit.cache_clear()


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_commit_is_that_of_the_package_s_own_repository(package: Path) -> None:
    assert record.commit() is None  # installed inside somebody's repository, but no part of it
    git(package, "add", "__init__.py")
    git(package, "commit", "--quiet", "-m", "first")
    record.commit.cache_clear()
    clean = record.commit()
    assert clean is not None
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (package / "__init__.py").write_text("changed")
    record.commit.cache_clear()
    assert record.commit() == f"{clean}-dirty"


def test_no_git_no_commit(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert record.commit() is None
