import math

import pandas as pd
import pytest

from octosr.scores.rows import Column, Row, definition_id, merge
from octosr.scores.table import from_csv, from_frame, to_csv, to_frame

OLD = Column({"version": "1"}, False)
NEW = Column({"version": "2"}, False)

NAMES = [
    "plain",
    "with, comma",
    'with "quotes"',
    "=1+1",
    "@cmd",
    "Ünïcödé 图像",
    " spaces ",
    "new\nline",
    "carriage\rreturn",
    "NA",
    "null",
    "007",
    "",
    "not-utf8-\udcff",
]


def test_names_and_scores_come_back_exactly():
    values = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, math.inf, -math.inf, 1e22]
    rows = {
        name: Row(f"{i:064x}", {"niqe": values[i % len(values)]} if i != 3 else {"psnr": 2.0})
        for i, name in enumerate(NAMES)
    }
    back, metrics = from_csv(to_csv(rows, ["niqe", "psnr"]))
    assert metrics == ["niqe", "psnr"]
    assert list(back) == NAMES
    assert back == rows
    assert from_frame(to_frame(rows, metrics)) == (rows, metrics)


def test_pandas_and_spreadsheets_read_the_csv():
    rows = {"a, b": Row("0" * 64, {"niqe": 4.5}), "c": Row("1" * 64, {})}
    content = to_csv(rows, ["niqe"]).decode()
    assert content == f'image,sha256,niqe\n"a, b",{"0" * 64},4.5\nc,{"1" * 64},\n'


def test_frame_types():
    frame = to_frame({"007": Row("0" * 64, {})}, ["niqe"])
    assert frame["niqe"].dtype == "float64"
    assert math.isnan(frame["niqe"][0])
    assert frame["image"][0] == "007"
    empty = to_frame({}, [])
    assert list(empty.columns) == ["image", "sha256"]
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("name,sha256\n", "line 1"),
        ("image,sha256,niqe\na,b\n", "line 2 has 2 fields instead of 3"),
        ("image,sha256,niqe\na,b,four\n", "four"),
        ('image,sha256,niqe\n"a,b,4\n', "line"),
        ("", "line 1"),
    ],
)
def test_damaged_csv_says_where(content, reason):
    with pytest.raises(ValueError, match=reason):
        from_csv(content.encode())


def test_frame_must_be_a_score_table():
    with pytest.raises(ValueError, match="sha256"):
        from_frame(pd.DataFrame({"image": ["a"]}))
    with pytest.raises(ValueError, match="repeated: \\['a'\\]"):
        from_frame(pd.DataFrame({"image": ["a", "a"], "sha256": ["x", "y"]}))


def test_definition_id_depends_on_values_not_on_order():
    assert definition_id({"a": 1, "b": 2.5}) == definition_id({"b": 2.5, "a": 1})
    assert definition_id({"a": 1}) != definition_id({"a": 2})
    assert definition_id({"a": 1}) != definition_id({"a": "1"})


def test_merge_adds_rows_and_columns():
    rows, columns = merge(
        ({"a": Row("1", {"niqe": 4.0})}, {"niqe": OLD}),
        ({"a": Row("1", {"psnr": 30.0}), "b": Row("2", {"psnr": 31.0})}, {"psnr": NEW}),
    )
    assert rows == {"a": Row("1", {"niqe": 4.0, "psnr": 30.0}), "b": Row("2", {"psnr": 31.0})}
    assert columns == {"niqe": OLD, "psnr": NEW}


def test_merge_drops_scores_of_a_changed_image():
    rows, _ = merge(
        ({"a": Row("1", {"niqe": 4.0, "psnr": 3.0}), "b": Row("9", {"niqe": 5.0})}, {"niqe": OLD, "psnr": OLD}),
        ({"a": Row("2", {"niqe": 6.0})}, {"niqe": OLD}),
    )
    assert rows == {"a": Row("2", {"niqe": 6.0}), "b": Row("9", {"niqe": 5.0})}


def test_merge_replaces_a_column_whose_definition_changed():
    rows, columns = merge(
        ({"a": Row("1", {"niqe": 4.0}), "b": Row("2", {"niqe": 5.0, "psnr": 9.0})}, {"niqe": OLD, "psnr": OLD}),
        ({"a": Row("1", {"niqe": 6.0})}, {"niqe": NEW}),
    )
    assert rows == {"a": Row("1", {"niqe": 6.0}), "b": Row("2", {"psnr": 9.0})}
    assert columns == {"niqe": NEW, "psnr": OLD}


def test_merge_keeps_a_score_where_the_new_table_has_none():
    rows, columns = merge(
        ({"a": Row("1", {"maniqa": 0.4})}, {"maniqa": OLD}),
        ({"a": Row("1", {})}, {"maniqa": Column({"not_available": "no weights"})}),
    )
    assert rows == {"a": Row("1", {"maniqa": 0.4})}
    assert columns == {"maniqa": OLD}


def test_merge_takes_an_empty_column_nobody_had():
    missing = Column({"not_available": "no weights"})
    rows, columns = merge(({}, {}), ({"a": Row("1", {})}, {"maniqa": missing}))
    assert rows == {"a": Row("1", {})}
    assert columns == {"maniqa": missing}


def test_merge_with_names_drops_and_orders():
    old = ({"a": Row("1", {"niqe": 1.0}), "gone": Row("2", {"niqe": 2.0})}, {"niqe": OLD})
    rows, _ = merge(old, ({"b": Row("3", {"niqe": 3.0})}, {"niqe": OLD}), names=["b", "a", "c"])
    assert list(rows) == ["b", "a"]
