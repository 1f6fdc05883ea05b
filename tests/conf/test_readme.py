"""Every command in the README is one that this version understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted({line.split("  #")[0].strip() for line in re.findall(r"^python .*$", TEXT, flags=re.MULTILINE)})


@pytest.mark.parametrize("command", COMMANDS)
def test_command_composes(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, script, *arguments = shlex.split(command)
    if script == "report.py":
        monkeypatch.delitem(ConfigStore.instance().repo, "metrics", raising=False)  # a plain setting there
    assert (ROOT / script).is_file()
    name = Path(script).stem
    folder = ROOT / "conf" / (name if name in ("prepare", "report") else "")
    arguments = ["missing=true" if argument == "--missing" else argument for argument in arguments]
    with initialize_config_dir(str(folder), version_base="1.3"):
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        single = []
        for override in parser.parse_overrides([a for a in arguments if a != "-m"]):
            swept = override.is_sweep_override()
            assert not swept or "-m" in arguments
            value = next(iter(override.sweep_string_iterator())) if swept else override.get_value_element_as_str()
            single.append(f"{override.get_key_element()}={value}")
        assert compose(name, single)


def test_there_are_commands_to_check_and_targets_that_exist() -> None:
    assert len(COMMANDS) >= 7
    targets = set(re.findall(r"^make (\w+)", TEXT, flags=re.MULTILINE)) | set(re.findall(r"`make (\w+)`", TEXT))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets >= {"demo", "test", "setup", "lint", "bench"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_pictures_and_pages_that_are_linked_exist() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT):
        assert (ROOT / link).is_file(), link
