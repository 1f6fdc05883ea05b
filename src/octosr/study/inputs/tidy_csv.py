"""Reader of any CSV with a header: one row a score, or one row an image and one column a metric."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from octosr.study.inputs.score_set import InputError, ScoreSet, tidy
from octosr.study.inputs.stems import lr_stem, pairing_key
from octosr.study.names import dataset_name, metric_name, technique_name

_ALIASES = {
    "technique": ("technique", "tech", "method", "model", "algorithm"),
    "dataset": ("dataset", "dset", "data", "set"),
    "file": ("file", "filename", "file_name", "image", "img", "name"),
    "metric": ("metric", "measure"),
    "value": ("value", "score"),
}
_IGNORED = {"domain", "dom", "sha256", "index", ""}


def read_csv(path: str | Path) -> ScoreSet:
    """A CSV file with a header.

    Columns are found by name, in any case: technique (or tech, method, model, algorithm), dataset (dset, data, set),
    file (filename, image, img, name), and either metric and value (score), or one numeric column a metric.

    Raises:
        InputError: a column is missing, cannot be told, or holds no numbers.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")
    except (OSError, ValueError) as error:  # pandas' own errors derive from ValueError
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    columns = {role: _find(path, table, role) for role in _ALIASES}
    missing = [role for role in ("technique", "dataset", "file") if columns[role] is None]
    if missing:
        wanted = "; ".join(f"{role} (one of {', '.join(_ALIASES[role])})" for role in missing)
        raise InputError(
            f"{path} needs a column for {wanted}. It has: {', '.join(map(str, table.columns))}. "
            "(The study's headerless files are read by the name of their folder: give that.)"
        )
    techniques = [technique_name(t) for t in table[columns["technique"]]]
    datasets = [dataset_name(d) for d in table[columns["dataset"]]]
    files = list(table[columns["file"]])
    images = [pairing_key(t, lr_stem(f)) for t, f in zip(techniques, files, strict=True)]

    def part(metric: list[str] | str, values: pd.Series) -> pd.DataFrame:
        return tidy(techniques, datasets, images, files, metric, values)

    if columns["metric"] is not None and columns["value"] is not None:
        found = [metric_name(m) for m in table[columns["metric"]]]
        frame = part(found, _numbers(path, table, columns["value"]))
    else:
        metrics = [c for c in table.columns if c not in columns.values() and str(c).strip().lower() not in _IGNORED]
        if columns["value"] is not None or not metrics:
            raise InputError(
                f"{path} has no column that names the metric. Give the columns metric and value, or one a metric."
            )
        frame = pd.concat([part(metric_name(c), _numbers(path, table, c)) for c in metrics], ignore_index=True)
    detail = frame["metric"].str.contains(":", regex=False).astype(bool)
    return ScoreSet(
        frame[~detail].reset_index(drop=True), frame[detail].reset_index(drop=True), sources=[f"CSV file {path}"]
    )


def _find(path: Path, table: pd.DataFrame, role: str) -> str | None:
    for alias in _ALIASES[role]:
        found = [str(column) for column in table.columns if str(column).strip().lower() == alias]
        if len(found) > 1:
            raise InputError(f"{path} has more than one column named {alias}.")
        if found:
            return found[0]
    return None


def _numbers(path: Path, table: pd.DataFrame, column: str | None) -> pd.Series:
    text = table[column].str.strip()
    values = pd.to_numeric(text.mask(text.str.lower().isin(["", "nan", "na", "none"])), errors="coerce")
    bad = values.isna() & ~text.str.lower().isin(["", "nan", "na", "none"])
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise InputError(
            f"{path}, line {row + 2}: '{text.iloc[row]}' in the column {column} is not a number. "
            "Every column that is not technique, dataset, domain or file is taken for a metric."
        )
    return values
