"""Check every number of the study's slides: ``python -m octosr.study.check_published [--means CSV] [--raw PATH]``.

Without options the shipped means are taken. With ``--raw`` the means, the sets and Kendall's tau are computed from the
study's raw scores, for as many datasets as there are. The exit code is 1 if a number does not match that is not known
to be a slip of the slides.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from octosr.errors import OctoSRError
from octosr.study import published, ranking
from octosr.study.inputs import read_scores
from octosr.study.published_tables import DIRECTIONS, KNOWN_FAULTS, Check, check


def report(checks: Sequence[Check]) -> str:
    """What was checked, table by table, and every number that does not match."""
    lines = []
    for table in dict.fromkeys(c.table for c in checks):
        counts = Counter(c.status for c in checks if c.table == table)
        lines.append(f"{table:26s} " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    lines += ["", *(_line(c) for c in checks if c.status in ("mismatch", "known slip"))]
    unchecked = Counter(f"{c.table}: {c.note}" for c in checks if c.status == "not checked")
    lines += [f"not checked ({n}): {what}" for what, n in unchecked.items()]
    counts = Counter(c.status for c in checks)
    total = ", ".join(f"{counts[s]} {s}" for s in ("match", "known slip", "mismatch", "not checked"))
    return "\n".join([*lines, f"known fault: {KNOWN_FAULTS}", f"{len(checks)} printed numbers: {total}"]) + "\n"


def _line(c: Check) -> str:
    note = f" ({c.note})" if c.note else ""
    return f"{c.status}: {c.table}, {c.row}, {c.item}: printed {c.printed}, computed {c.computed}{note}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m octosr.study.check_published", description=__doc__)
    parser.add_argument("--means", help="CSV of means (default: the shipped one)")
    parser.add_argument("--raw", help="the study's raw scores: folder with df_*.json or csv_MANIQA/")
    options = parser.parse_args(arguments)
    try:
        if options.raw and options.means:
            raise OctoSRError("Give --means or --raw, not both: with --raw the means are computed from the raw scores.")
        if options.raw:
            scores = read_scores(options.raw)
            tables = {m: ranking.means(scores, m) for m in DIRECTIONS if m in scores.metrics}
        else:
            scores = None
            means = published.read_means(options.means) if options.means else published.published_means()
            tables = {m: published.as_table(means, m) for m in DIRECTIONS}
        checks = check(tables, scores)
    except OctoSRError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(report(checks))
    return int(any(c.status == "mismatch" for c in checks))


if __name__ == "__main__":
    sys.exit(main())
