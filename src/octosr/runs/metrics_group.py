"""Every metric of pyiqa as an option of the config group ``metrics``, beside the files in ``conf/metrics``."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from octosr.errors import ConfigError
from octosr.pyiqa_table import OWN, pyiqa_metrics

_files: set[str] = set()  # the options that are files, as far as a command has told


def register_metrics(conf: Path) -> None:
    """Offer pyiqa's metrics to Hydra, so that ``metrics=[niqe,musiq]`` works without a file for each.

    Reads pyiqa's table of names, which takes milliseconds, and does nothing where pyiqa is not installed. A name that
    has a file in ``conf/metrics`` is left to that file.

    Args:
        conf: the folder of the configs.
    """
    _files.update(path.stem for path in (conf / "metrics").glob("*.yaml"))
    store = ConfigStore.instance()
    for name in pyiqa_metrics():
        if name not in OWN and name not in _files:
            store.store(group="metrics", name=name, node={name: pyiqa_node(name)}, provider="octosr")


def pyiqa_node(name: str) -> dict[str, Any]:
    """The config of a pyiqa metric."""
    return {
        "_target_": "octosr.metrics.iqa.PyiqaMetric",
        "metric": name,
        "download": "${metrics.download}",
        "weights": None,
    }


def metric_names() -> list[str]:
    """All names that ``metrics=[...]`` takes: those with a file first, then pyiqa's."""
    return list(dict.fromkeys([*sorted(_files | set(OWN)), *pyiqa_metrics()]))


def extra_node(name: str) -> dict[str, Any]:
    """The config of a metric named in ``metrics.extra``.

    Raises:
        ConfigError: it is one with a file of its own, or there is none of that name.
    """
    if name in OWN or name in _files:
        raise ConfigError(
            f"metrics.extra: '{name}' is one of OctoSR's own metrics. Choose it beside the others, e.g. "
            f"metrics=[niqe,maniqa,{name}]."
        )
    if pyiqa_metrics() and name not in pyiqa_metrics():
        raise ConfigError(f"metrics.extra: there is no metric '{name}'.{nearest_metrics(name)}")
    return pyiqa_node(name)


def nearest_metrics(name: str) -> str:
    """A hint with up to three names near to a misspelt one, our own before pyiqa's, and what pyiqa would bring."""
    own = difflib.get_close_matches(name, _files | set(OWN), n=1)
    near = list(dict.fromkeys([*own, *difflib.get_close_matches(name, metric_names(), n=3)]))[:3]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return hint if pyiqa_metrics() else f"{hint} (Many more come with pyiqa: pip install 'octosr[iqa]'.)"
