"""The names of pyiqa's metrics with their facts, read from the installed package without importing it.

Importing pyiqa takes seconds; its table of metrics is one file without any import of its own, so that a misspelt name
can be answered at once, and the entry points can offer every metric as an option. No torch here.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

OWN = ("lpips", "maniqa", "ms_ssim", "niqe", "psnr", "ssim")
"""Names of pyiqa's that stand for a metric of OctoSR's own here, with its own config file."""

TABLE_FILE = "default_model_configs.py"


class PyiqaEntry(NamedTuple):
    """What pyiqa says of one of its metrics.

    Attributes:
        name: as in ``pyiqa.create_metric(name)``.
        compares: it compares with a reference image of the same size (pyiqa's mode ``FR``).
        lower_better: the direction.
        network: name of its class.
        module: file name of the module that defines the class, without ``.py``; empty if there is none.
    """

    name: str
    compares: bool
    lower_better: bool
    network: str
    module: str


@functools.cache
def pyiqa_metrics() -> Mapping[str, PyiqaEntry]:
    """All metrics of the installed pyiqa by name, in its order; empty where pyiqa is not installed.

    >>> entry = pyiqa_metrics().get("piqe")  # None without pyiqa
    >>> entry is None or (entry.lower_better, entry.compares, entry.module)
    (True, False, 'piqe_arch')
    """
    folder = pyiqa_folder()
    if folder is None or not (folder / TABLE_FILE).is_file():
        return MappingProxyType({})
    spec = importlib.util.spec_from_file_location("_octosr_pyiqa_table", folder / TABLE_FILE)
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    modules = _modules(folder / "archs")
    return MappingProxyType(
        {
            name: PyiqaEntry(
                name=name,
                compares=entry["metric_mode"] == "FR",
                lower_better=bool(entry.get("lower_better", False)),
                network=entry["metric_opts"]["type"],
                module=modules.get(entry["metric_opts"]["type"], ""),
            )
            for name, entry in table.DEFAULT_CONFIGS.items()
        }
    )


def pyiqa_folder() -> Path | None:
    """Where pyiqa is installed; None if it is not."""
    spec = importlib.util.find_spec("pyiqa")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _modules(folder: Path) -> dict[str, str]:
    """Class name -> module, of all classes that pyiqa's arch files define at their top level.

    pyiqa itself guesses the module from the class name and, where the guess is wrong, imports all of its modules and
    passes over those that fail: the reason why one cannot be imported is then lost.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*_arch.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("class "):
                found.setdefault(line[6:].split("(")[0].split(":")[0].strip(), path.stem)
    return found
