"""pyiqa's names, read without importing it, are what pyiqa says of itself."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from octosr import pyiqa_table
from octosr.pyiqa_table import OWN, pyiqa_folder, pyiqa_metrics


def test_table_is_pyiqas() -> None:
    import pyiqa
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    table = pyiqa_metrics()
    assert sorted(table) == pyiqa.list_models() or set(table) == set(pyiqa.list_models())
    assert len(table) >= 90
    for name, entry in table.items():
        assert entry.name == name
        assert entry.compares == (DEFAULT_CONFIGS[name]["metric_mode"] == "FR")
        assert entry.lower_better == bool(DEFAULT_CONFIGS[name].get("lower_better"))
        assert entry.network == DEFAULT_CONFIGS[name]["metric_opts"]["type"]
    assert set(table) >= set(OWN)


def test_every_network_has_its_module() -> None:
    folder = pyiqa_folder()
    assert folder is not None
    for entry in pyiqa_metrics().values():
        text = (folder / "archs" / f"{entry.module}.py").read_text(encoding="utf-8")
        assert f"class {entry.network}(" in text, entry


def test_neither_pyiqa_nor_torch_is_imported() -> None:
    code = (
        "import sys; from octosr.pyiqa_table import pyiqa_metrics; assert 'musiq' in pyiqa_metrics(); "
        "print([name for name in ('pyiqa', 'torch', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_pyiqa_there_are_none(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert pyiqa_table.pyiqa_metrics.__wrapped__() == {}
    assert pyiqa_folder() is None
