"""The page's own styles and scripts, and the security policy that admits only these."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

STYLES = ("base.css", "parts.css", "explorer.css")
HEAD_SCRIPT = "theme.js"
SCRIPTS = (
    "dom.js",
    "tables.js",
    "contents.js",
    "explorer-data.js",
    "explorer-lens.js",
    "explorer-stage.js",
    "explorer-lists.js",
    "explorer.js",
)


def stylesheet(rules: Sequence[str] = ()) -> str:
    """All styles in one, with further rules after them."""
    return "\n".join([*map(_asset, STYLES), *rules])


def head_script() -> str:
    """The script that must run before anything is painted."""
    return _asset(HEAD_SCRIPT)


@cache
def script() -> str:
    """All other scripts in one function: the parts see each other, the window sees none of them."""
    return '(() => {\n"use strict";\n' + "\n".join(map(_asset, SCRIPTS)) + "\n})();"


def security_policy(style: str) -> str:
    """Content security policy: no network, only the page's own styles and scripts (by hash), images of the disk."""
    scripts = " ".join(map(_hash, (head_script(), script())))
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {scripts}; img-src data: file: 'self'; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def template() -> Template:
    """The template of the page; everything put into it is escaped unless it says otherwise."""
    environment = Environment(
        loader=PackageLoader("octosr.study.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def _asset(name: str) -> str:
    return resources.files("octosr.study.page").joinpath("static", name).read_text(encoding="utf-8").strip()
