"""The exported files: values round trip, names cannot become markup, JSON is strict, nothing old stays."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing
from PIL import Image

from octosr.study.document import Document, Figure, Gate, Section, Table
from octosr.study.exports import export, report_json, tables, values

HOSTILE = '<img src=x onerror=alert(1)>|a_b\n# $x^2$ & 100% ~{c}\\d*[e](f)"`'


def table(**changes: Any) -> Table:
    frame = pd.DataFrame(
        {
            "technique": ["DAN", HOSTILE, None],
            "niqe": [1 / 3, math.nan, 14.0],
            "maniqa": [0.00001, 0.5, math.inf],
            "counts": [(9, 0, 5), (1, 2, 3), None],
            "n": [100, 7, 7],
            "ok": [True, False, True],
        }
    )
    settings: dict[str, Any] = {
        "title": "Means",
        "frame": frame,
        "digits": {"niqe": 2, "maniqa": 3},
        "best": {"niqe": "min", "n": "min"},
    }
    return Table("means", **(settings | changes))


def document(*sections: Section) -> Document:
    return Document("Title", ["Answer."], list(sections), {"kinds": {"study"}, "n": np.int64(3), "x": np.nan})


def test_csv_reads_back_bit_for_bit() -> None:
    original = table()
    back = pd.read_csv(io.BytesIO(tables.to_csv(original)), float_precision="round_trip")
    assert list(back["niqe"][[0, 2]]) == [1 / 3, 14.0]
    assert math.isnan(back["niqe"][1])
    assert back["technique"][1] == HOSTILE
    assert back["maniqa"][2] == math.inf


def test_text_of_cells() -> None:
    rows = values.texts(table())
    assert rows[0] == ["DAN", "0.33", "<0.001", "9 / 0 / 5", "100", "yes"]
    assert rows[2] == ["not available", "14.00", "infinity", "not available", "7", "yes"]
    assert "\n" not in rows[1][0]
    assert values.text(-0.0004, 2, "") == ">-0.01"
    assert values.text(123456.7, None, "") == "1.235e+05"
    assert values.text(pd.NA, None, "none") == values.text(pd.NaT, None, "none") == "none"


def test_best_marks_ties_and_never_the_only_one() -> None:
    np.testing.assert_array_equal(values.best(table())[:, [1, 4]], [[True, False], [False, True], [False, True]])
    alone = table(frame=pd.DataFrame({"niqe": [1.0, math.nan]}), best={"niqe": "min"})
    assert not values.best(alone).any()
    among = table(best={}, best_in_row=(["niqe", "maniqa"], "max"))
    np.testing.assert_array_equal(values.best(among)[:, 1:3], [[True, False], [False, False], [False, True]])


def test_latex_is_booktabs_with_everything_escaped_and_the_best_in_bold() -> None:
    text = tables.to_latex(table(title=f"Means {HOSTILE}", caption="100% & more")).decode()
    for rule in ("\\toprule", "\\midrule", "\\bottomrule", "\\begin{tabular}{lrrlrl}", "\\label{tab:means}"):
        assert rule in text
    assert text.count("\\\\\n") == 4  # heading and three rows, whatever line breaks the names hold
    assert "\\textbf{0.33}" in text
    assert text.count("\\textbf{7}") == 2
    assert "100\\% \\& more" in text
    body = text[text.index("\\toprule") :]
    assert not re.search(r"(?<!\\)[$%#_^~|<>\"]", body.replace("\\textless{}", "").replace("\\textgreater{}", ""))
    unescaped = body.replace("\\{", "").replace("\\}", "")
    assert unescaped.count("{") == unescaped.count("}")


def test_negative_numbers_have_a_minus_sign_in_latex_and_names_keep_their_hyphens() -> None:
    frame = pd.DataFrame({"dataset": ["ufsm-flame", "a-1"], "difference": [-1.5, -0.0000001]})
    text = tables.to_latex(Table("d", "D", frame, digits={"difference": 2})).decode()
    assert "ufsm-flame & $-$1.50 \\\\" in text
    assert "a-1 & \\textgreater{}$-$0.01 \\\\" in text


def test_long_tables_become_longtables() -> None:
    frame = pd.DataFrame({"image": [f"im_{i}" for i in range(60)], "niqe": np.arange(60.0)})
    text = tables.to_latex(Table("images", "Images", frame)).decode()
    assert "\\begin{longtable}" in text
    assert "\\usepackage{longtable}" in text.splitlines()[0]
    assert "im\\_59" in text


def test_markdown_has_a_cell_a_value_and_no_markup_from_names() -> None:
    text = tables.to_markdown(table(caption="Of *all* images")).decode()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}
    assert not re.search(r"(?<!\\)[<`$\[]", text)
    assert "**0.33**" in lines[2]
    assert "Of \\*all\\* images" in text


@pytest.mark.parametrize("convert", [tables.to_csv, tables.to_latex, tables.to_markdown])
def test_empty_tables_and_doubled_headings_are_written(convert: Any) -> None:
    empty = Table("none", "None", pd.DataFrame({"a": pd.Series([], dtype=float), "b": pd.Series([], dtype=object)}))
    assert b"a" in convert(empty)
    doubled = Table("two", "Two", pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))
    assert b"2" in convert(doubled)


def test_json_is_strict_and_at_full_precision() -> None:
    gate = Gate("noise", "Does noise improve it?", "warn", "It does.")
    made = document(Section("s", "S", ["Text."], [gate], [table()], [Figure("f", "F", Drawing)]))

    def refuse(word: str) -> None:
        raise AssertionError(word)

    content = json.loads(report_json(made), parse_constant=refuse)
    (section,) = content["sections"]
    rows = section["tables"][0]["rows"]
    assert rows[0] == ["DAN", 1 / 3, 0.00001, [9, 0, 5], 100, True]
    assert rows[1][:2] == [HOSTILE, None]
    assert rows[2][0] is None
    assert rows[2][2] == "infinity"
    assert section["gates"] == [{"key": "noise", "question": gate.question, "outcome": "warn", "finding": "It does."}]
    assert content["facts"] == {"kinds": ["study"], "n": 3, "x": None}
    assert content["summary"] == ["Answer."]


def test_export_writes_every_format_and_removes_what_an_earlier_report_left(tmp_path: Path) -> None:
    calls: list[None] = []

    def draw() -> Drawing:
        drawing = Drawing(figsize=(1, 1))
        drawing.text(0.1, 0.5, "x")
        return drawing

    first = Section("a", "A", tables=[table()], figures=[Figure("means", "A figure of the same key", draw)])
    done = export(document(first), tmp_path, progress=lambda: calls.append(None))
    assert len(calls) == 2
    assert done.downloads["means"] == {
        "CSV": "tables/means.csv",
        "LaTeX": "tables/means.tex",
        "Markdown": "tables/means.md",
        "SVG": "figures/means.svg",
        "PNG": "figures/means.png",
    }
    assert all((tmp_path / path).stat().st_size for path in done.downloads["means"].values())
    assert done.drawn["means"] == (tmp_path / "figures/means.svg").read_bytes()
    with Image.open(done.pictures["means"]) as picture:
        assert picture.size == (200, 200)
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert list(written["sections"][0]["figures"][0]["files"]) == ["SVG", "PNG"]
    with (tmp_path / "tables/means.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == 4

    (tmp_path / "tables" / "notes.txt").write_text("mine")
    export(document(Section("b", "B", tables=[Table("other", "Other", pd.DataFrame({"a": [1]}))])), tmp_path)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["notes.txt", "other.csv", "other.md", "other.tex", "report.json"]


@pytest.mark.parametrize("key", ["../x", "a b", "", "-a", "ü"])
def test_a_key_that_is_no_file_name_is_refused_before_anything_is_written(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="file names"):
        export(document(Section("s", "S", tables=[Table(key, "T", pd.DataFrame({"a": [1]}))])), tmp_path)
    assert not list(tmp_path.iterdir())


def test_keys_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    same = [Table(key, "T", pd.DataFrame({"a": [1]})) for key in ("means", "Means")]
    with pytest.raises(ValueError, match="twice"):
        export(document(Section("s", "S", tables=same)), tmp_path)
