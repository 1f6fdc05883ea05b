"""Where the configuration files lie."""

from __future__ import annotations

from pathlib import Path

import octosr

CHOSEN = ("technique", "dataset", "hardware", "degradation", "metrics", "logger", "callbacks", "experiment")
"""Groups that people choose from; the others serve these."""


def conf_folder() -> Path:
    """``conf/``: inside the package where it was installed from a wheel, else at the top of the checkout.

    A checkout has no copy inside the package, and a wheel takes its copy from the checkout's when it is built: there
    is one source.
    """
    package = Path(octosr.__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"


def groups() -> dict[str, list[str]]:
    """The groups of ``octosr train`` and ``octosr eval`` that are meant to be chosen from, each with its choices.

    Read from the folder: neither Hydra nor anything else heavy is imported.
    """
    found = {}
    for name in CHOSEN:
        folder = conf_folder() / name
        choices = sorted(path.stem for path in folder.glob("*.yaml"))
        more = sorted(f"more/{path.stem}" for path in (folder / "more").glob("*.yaml"))
        found[name] = choices + more
    return found


def groups_text(*names: str) -> str:
    """:func:`groups` as lines of text; only those named, where names are given."""
    return "\n".join(f"  {group}: {', '.join(of)}" for group, of in groups().items() if not names or group in names)
