"""The JSON beside a score table: where every number comes from, and how to tell that neither file was damaged.

Schema 2::

    {
      "schema": 2, "technique": ..., "dataset": ..., "kind": ...,
      "table_sha256": ...,                  of the CSV
      "lines": "<digest> <digest> ...",     of each of its lines: those of a damaged CSV that are whole are kept
      "images": N,
      "references": {"hr": "<sha256> - ...", "lr": ...},   what each image was compared with, in the order of the rows
      "runs": [{"date": ..., "versions": {...}, "device": ..., ...}],   the runs that the numbers come from
      "metrics": {
        "niqe": {
          "definition_id": ..., "definition": {...}, "higher_is_better": false, "mean": ..., "n": ...,
          "made_by": "0*60 -*2 1*38",       60 rows by run 0, 2 never looked at, 38 by run 1
          "without": {"reason": [7, 12]}    rows (from 0) that have no score, and why
        },
        "niqe:blocks": {...}                a detail: what a metric says beside its score
      },
      "checksum": ...                       of everything above
    }

Schema 1 had one ``provenance`` for the whole table, which becomes run 0.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from octosr.scores.rows import NOT_APPLICABLE, Column, Columns, Row, Rows, used_runs

SCHEMA = 2
_DIGITS = 12  # of the digest of a line: chance decides between damaged and whole once in 10^14
Runs = list[dict[str, Any]]


class NewerSchemaError(ValueError):
    """Written by a later version of octosr."""


def encode(head: Mapping[str, Any], rows: Rows, columns: Columns, runs: Runs, lines: Sequence[bytes]) -> bytes:
    """The sidecar's bytes.

    Args:
        head: first entries: technique, dataset, kind.
        rows: the whole table.
        columns: what each column is.
        runs: what ``Row.runs`` counts in; those that no number comes from are left out.
        lines: the lines of the CSV.
    """
    used = used_runs(rows.values()) or list(range(len(runs)))[-1:]
    number = {old: new for new, old in enumerate(used)}
    kinds = sorted({kind for row in rows.values() for kind in row.references})
    content: dict[str, Any] = {
        "schema": SCHEMA,
        **head,
        "table_sha256": hashlib.sha256(b"".join(lines)).hexdigest(),
        "lines": " ".join(map(line_digest, lines)),
        "images": len(rows),
        "references": {kind: " ".join(row.references.get(kind, "-") for row in rows.values()) for kind in kinds},
        "runs": [runs[old] for old in used],
        "metrics": {name: _described(name, column, list(rows.values()), number) for name, column in columns.items()},
    }
    content["checksum"] = _checksum(content)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", errors="surrogateescape")


def parse(content: bytes) -> dict[str, Any]:
    """The sidecar as plain values, of either schema.

    Raises:
        NewerSchemaError: a later version wrote it.
        ValueError: damaged; the message says how that shows.
    """
    try:
        described = json.loads(content.decode("utf-8", errors="surrogateescape"))
        schema = described["schema"]
        _ = described["table_sha256"], described["metrics"].items()
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not isinstance(schema, int) or schema > SCHEMA:
        raise NewerSchemaError(f"it has schema {schema}, this version of octosr reads schema 1 to {SCHEMA}")
    if schema == SCHEMA and described.get("checksum") != _checksum(described):
        raise ValueError("its checksum is wrong")
    return dict(described)


def columns_of(described: Mapping[str, Any]) -> Columns:
    """The columns that a sidecar describes, in the order of the table."""
    return {name: Column(m["definition"], m["higher_is_better"]) for name, m in described["metrics"].items()}


def runs_of(described: Mapping[str, Any]) -> Runs:
    """The runs that the numbers of a table come from."""
    if described["schema"] == 1:
        return [dict(described.get("provenance", {}))]
    return list(described["runs"])


def attach(rows: Rows, described: Mapping[str, Any], positions: Sequence[int] | None = None) -> None:
    """Add to rows read from a table what the sidecar says about them.

    Args:
        rows: the rows of the table, or some of them.
        described: the sidecar.
        positions: where in the whole table these rows stand; None: these are all rows.
    """
    if described["schema"] == 1:
        for row in rows.values():
            row.runs = dict.fromkeys(row.scores, 0)
        return
    places = range(len(rows)) if positions is None else positions
    here = dict(zip(places, rows.values(), strict=True))
    for kind, text in described["references"].items():
        for place, digest in enumerate(text.split()):
            if digest != "-" and place in here:
                here[place].references[kind] = digest
    for name, metric in described["metrics"].items():
        for place, run in enumerate(_decoded(metric["made_by"])):
            if run is not None and place in here:
                here[place].runs[name] = run
        for reason, places_without in metric["without"].items():
            for place in places_without:
                if place in here:
                    here[place].reasons[name] = reason


def line_digest(line: bytes) -> str:
    """Short hash of one line of the CSV."""
    return hashlib.sha256(line).hexdigest()[:_DIGITS]


def state_of(metric: Mapping[str, Any], images: int) -> str:
    """What a column amounts to: ``scored``, ``partly scored``, ``not available`` or ``not applicable``."""
    if metric["n"]:
        return "scored" if metric["n"] == images else "partly scored"
    never = sum(len(rows) for reason, rows in metric.get("without", {}).items() if reason.startswith(NOT_APPLICABLE))
    return "not applicable" if never and never == images else "not available"


def _described(name: str, column: Column, rows: Sequence[Row], number: Mapping[int, int]) -> dict[str, Any]:
    values = [row.scores[name] for row in rows if name in row.scores]
    mean: float | str | None = None
    if values:
        total = math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
        mean = total / len(values)
        mean = mean if math.isfinite(mean) else repr(mean)  # JSON has no infinity
    without: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if name in row.reasons:
            without.setdefault(row.reasons[name], []).append(place)
    return {
        "definition_id": column.id,
        "definition": dict(column.definition),
        "higher_is_better": column.higher_is_better,
        "mean": mean,
        "n": len(values),
        "made_by": _encoded([number[row.runs[name]] if name in row.runs else None for row in rows]),
        "without": without,
    }


def _encoded(runs: Sequence[int | None]) -> str:
    """Run lengths.

    >>> _encoded([0, 0, None, 1])
    '0*2 -*1 1*1'
    >>> _decoded("0*2 -*1 1*1")
    [0, 0, None, 1]
    """
    return " ".join(f"{'-' if run is None else run}*{len(list(group))}" for run, group in groupby(runs))


def _decoded(text: str) -> list[int | None]:
    pieces = (piece.split("*") for piece in text.split())
    return [None if run == "-" else int(run) for run, count in pieces for _ in range(int(count))]


def _checksum(content: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
