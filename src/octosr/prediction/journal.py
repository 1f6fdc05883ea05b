"""Which results are there already: one line for each, with what it was made from and how.

``OUTPUT/provenance.jsonl`` is appended to, line by line: first a recipe (technique, weights, settings, versions) with
its key, then a line for every image made by it. A line is written when the image is complete and before it takes its
final name, so after a kill at any moment a file that has its final name is also known here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from octosr.atomic import write_bytes
from octosr.errors import ConfigError
from octosr.hashing import cached_sha256

FILE = "provenance.jsonl"

_KEYS = ({"recipe", "made_with"}, {"recipe", "output", "sha256", "source_sha256"})
"""What a line of either kind has."""

State = Literal["absent", "current", "outdated", "foreign"]


class Journal:
    """The record of one output folder.

    Args:
        folder: the output folder.
        key: of the recipe of this run: another recipe, another key.
        recipe: the recipe itself, plain values.

    Raises:
        ConfigError: the file is damaged; the message names the line.
    """

    def __init__(self, folder: Path, key: str, recipe: Mapping[str, Any]) -> None:
        self.path = folder / FILE
        self.key = key
        self._recipe = recipe
        self._known_recipe = False
        self._made: dict[str, list[dict[str, Any]]] = {}
        for entry in self._read():
            self._note(entry)

    def state(self, name: str, target: Path, source: Path) -> State:
        """What is in the place of a result.

        Args:
            name: of the result in this folder.
            target: its file.
            source: the image it would be made from.

        Returns:
            ``absent``; ``current``: made from these very bytes by this recipe, and whole; ``outdated``: made by an
            earlier run from something else or otherwise; ``foreign``: not made by us, or changed since.

        Raises:
            OSError: a file cannot be read.
        """
        if not target.exists():
            return "absent"
        if target.is_dir():
            return "foreign"
        entries = self._made.get(name, [])
        digest = cached_sha256(target) if entries else ""
        ours = [entry for entry in entries if entry["sha256"] == digest]
        if not ours:
            return "foreign"
        source_digest = cached_sha256(source)
        same = any(entry["recipe"] == self.key and entry["source_sha256"] == source_digest for entry in ours)
        return "current" if same else "outdated"

    def add(self, name: str, digest: str, source: Path, **facts: Any) -> None:
        """Note a result that is complete.

        Args:
            name: of the result in this folder.
            digest: sha256 of its file.
            source: the image it was made from.
            facts: what else there is to know, plain values.

        Raises:
            OSError: the record cannot be written.
        """
        lines = []
        if not self._known_recipe:
            lines.append({"recipe": self.key, "made_with": dict(self._recipe)})
        entry = {"output": name, "sha256": digest, "source": str(source), "source_sha256": cached_sha256(source)}
        lines.append(entry | {"recipe": self.key} | facts)
        text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as stream:
            stream.write(text.encode("ascii"))
            os.fsync(stream.fileno())
        for line in lines:
            self._note(line)

    def _note(self, entry: dict[str, Any]) -> None:
        if "output" in entry:
            self._made.setdefault(entry["output"], []).append(entry)
        elif entry["recipe"] == self.key:
            self._known_recipe = True

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:  # killed while a line was appended: its image has not got its final name
            write_bytes(self.path, whole)
        entries = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = json.loads(line)
                complete = any(keys <= set(entry) for keys in _KEYS)
            except (ValueError, TypeError):
                complete = False
            if not complete:
                raise ConfigError(
                    f"{self.path}: line {number} is damaged. Remove that line, or the file, to go on "
                    "(images it knew of then need overwrite=true)."
                )
            entries.append(entry)
        return entries
