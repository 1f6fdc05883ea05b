"""The doctor on whole and on broken machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from octosr.errors import ConfigError
from octosr.runs.doctor import Finding, doctor
from octosr.runs.doctor.examine import is_serious, run

ROOT = Path(__file__).resolve().parents[2]


def by_topic(findings: list[Finding], word: str) -> dict[str, Finding]:
    return {finding.topic: finding for finding in findings if finding.word == word}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without weights, without a key, with one dataset."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for name in ("a", "b"):
        path = tmp_path / "data" / "isaid" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    return tmp_path


def test_what_is_missing_is_said_with_the_command_and_the_line_that_mends_it(bare: Path) -> None:
    findings = doctor(bare / "out", bare / "data")
    there, missing = by_topic(findings, "ok"), by_topic(findings, "missing")
    assert there["datasets"].text.endswith("(1 study): isaid 2 of 100")
    assert {"torch", "torchvision", "Lightning", "CPU", "disk for output_root"} <= set(there)
    assert "prepare.py dataset=[" in missing["datasets"].remedy
    assert "ckpt_koniq10k.pt" in missing["weights of MANIQA"].text
    assert str(bare / "torch") in missing["weights of MANIQA"].text
    assert missing["weights of MANIQA"].needed_by == ("eval", "matrix")
    assert missing["score tables"].needed_by == ("report",)
    assert is_serious(missing["score tables"], "report")
    assert not is_serious(missing["score tables"], None)
    cells = {"dan/isaid/last.ckpt", "dan/ships/last.ckpt"}
    for cell in cells:
        (bare / "out/checkpoints" / cell).parent.mkdir(parents=True)
        (bare / "out/checkpoints" / cell).touch()
    assert by_topic(doctor(bare / "out", bare / "data"), "ok")["checkpoints"].text == "dan: 2"


def test_a_key_is_noticed_and_never_shown(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret" * 7)
    assert run([f"output_root={bare / 'out'}", f"data.root={bare / 'data'}"]) == 0
    assert run(["--json", "for=report", f"output_root={bare / 'out'}", f"data.root={bare / 'data'}"]) == 1
    said = capsys.readouterr().out
    assert "a key is configured" in said
    assert "secret" not in said


def test_a_broken_torch_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(ROOT / "doctor.py"), "--json", f"data.root={tmp_path}", f"output_root={tmp_path}"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    content = json.loads(done.stdout)
    (torch,) = [finding for finding in content["findings"] if finding["topic"] == "torch"]
    assert not content["ready"]
    assert torch["text"] == "cannot be used: OSError: libcudart.so.13: cannot open shared object file"
    assert "pip install" in torch["remedy"]


def test_what_the_doctor_does_not_take_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'eval'"):
        run(["for=evl"])
    with pytest.raises(ConfigError, match="Did you mean 'output_root'"):
        run(["output_rot=x"])
