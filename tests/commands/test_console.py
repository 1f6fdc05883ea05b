"""The console command: verbs, help, completion, and that it stays light."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra

import octosr.commands
from octosr import __version__, typed
from octosr.commands import VERBS, completion, main
from octosr.runs.cli import with_stand_ins
from octosr.runs.conf import conf_folder

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {"matrix": ("multirun.sh", "octosr.commands.matrix")}  # all others: VERB.py
HELPERS = {"completion"}  # modules of the package that are no verbs


@pytest.fixture(autouse=True)
def as_if_typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command leaves in its process is put back."""
    monkeypatch.setattr(sys, "argv", ["octosr"])
    monkeypatch.setenv(typed.VARIABLE, "")  # and removed afterwards, whatever the command sets
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    stored = ConfigStore.instance().repo  # without pyiqa's metrics, which conftest.py offers to all tests
    monkeypatch.setattr(
        ConfigStore.instance(), "repo", {key: value for key, value in stored.items() if key != "metrics"}
    )
    yield
    GlobalHydra.instance().clear()


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = 0
    try:
        main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def python(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_table_of_verbs_is_the_modules_and_the_scripts() -> None:
    modules = {module.name for module in pkgutil.iter_modules(octosr.commands.__path__)}
    assert modules - HELPERS == set(VERBS)
    for verb in VERBS:
        assert callable(importlib.import_module(f"octosr.commands.{verb}").main)
        script, calls = SCRIPTS.get(verb, (f"{verb}.py", f"from octosr.commands.{verb} import main"))
        assert calls in (ROOT / script).read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_shows_verbs_groups_and_examples(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, _ = run(*arguments, capsys=capsys)
    assert code == 0
    assert all(f"  {verb} " in shown and about in shown for verb, about in VERBS.items())
    for option in (ROOT / "conf" / "technique").glob("*.yaml"):
        assert option.stem in shown
    assert "more/folder" in shown
    assert "octosr eval technique=bicubic" in shown


@pytest.mark.parametrize("verb", ["train", "eval", "predict", "prepare", "report"])
def test_help_of_a_verb_has_its_examples_and_needs_no_choice(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, errors = run(verb, "--help", capsys=capsys)
    assert (code, errors) == (0, "")
    assert shown.startswith(f"octosr {verb} ")
    assert shown.count(f"  octosr {verb} ") >= 3
    assert "powered by Hydra" not in shown
    if verb in ("train", "eval"):
        assert "technique: apa, bicubic" in shown
        assert "more/demo" in shown


def test_unknown_verbs_and_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = run("evla", capsys=capsys)
    assert code == 2
    assert "no verb 'evla'. Did you mean 'eval'?" in errors
    assert run("--version", capsys=capsys) == (0, f"octosr {__version__}\n", "")


def test_messages_name_the_command_as_it_was_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed.typed("prepare") == "python prepare.py"
    where = (f"data.root={tmp_path / 'none'}", f"output_root={tmp_path}")
    code, _, errors = run("prepare", "dataset=isaid", "source=check", *where, capsys=capsys)
    assert code == 1
    assert "  octosr prepare dataset=isaid source=standin" in errors
    assert "python prepare.py" not in errors


def test_it_imports_neither_torch_nor_hydra(tmp_path: Path) -> None:
    heavy = "{'torch', 'hydra', 'omegaconf', 'pandas', 'numpy', 'PIL'}"
    code = f"import sys, octosr.commands as c; c.main(['--help']); sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = python("-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Verbs" in done.stdout


def test_a_verb_runs_as_lightning_starts_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(importlib.import_module("octosr.commands.eval"), "main", lambda: started.extend(sys.argv))
    main(["eval", "seed=3", "dataset=isaid"])
    assert started[1:] == ["seed=3", "dataset=isaid"]
    (tmp_path / "mine" / "dataset").mkdir(parents=True)
    (tmp_path / "mine" / "dataset" / "my_photos.yaml").write_text("name: folder\npath: photos\n")
    mine = ("--config-dir", str(tmp_path / "mine"), "dataset=my_photos")
    done = python(started[0], *mine, "seed=3", "--cfg", "job", folder=tmp_path)  # and with a config folder of my own
    assert done.returncode == 0, done.stderr
    assert "seed: 3" in done.stdout
    assert "path: photos" in done.stdout
    assert conf_folder() == ROOT / "conf"


def test_completion_in_bash(tmp_path: Path) -> None:
    script = f"""
        octosr() {{ "{sys.executable}" -m octosr "$@"; }}
        eval "$(octosr -sc install=bash)"
        complete -p octosr
        ask() {{ COMP_LINE="$1"; COMP_POINT=${{#1}}; _octosr_complete; echo "${{COMPREPLY[*]}}"; }}
        ask "octosr "; ask "octosr ev"; ask "octosr nonsense technique="
        ask "octosr eval technique=bic"; ask "octosr train dataset=isaid  trainer.max_st"; ask "octosr eval data.roo"
        eval "$(octosr -sc uninstall=bash)"
        complete -p octosr 2> /dev/null || echo gone
    """
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.splitlines() == [
        "complete -o nospace -F _octosr_complete octosr",
        " ".join(VERBS),
        "eval ",
        "",
        "technique=bicubic technique=bicubic_noise",
        "trainer.max_steps=",
        "data.root=",
        "gone",
    ], done.stderr
    assert "@VERBS@" not in completion.install()


def test_stand_ins_go_before_the_word_that_is_being_typed() -> None:
    assert with_stand_ins(["seed=1", ""], ["dataset=more/demo"]) == ["dataset=more/demo", "seed=1", ""]
    assert with_stand_ins(["dataset=sh"], ["dataset=more/demo"]) == ["dataset=sh"]
