"""Cells of tables: text, sort values, what is marked best."""

import pandas as pd
import pytest

from octosr.study.document import Table
from octosr.study.page import tables

FRAME = pd.DataFrame(
    {
        "dataset": ["isaid", "ships", "flowers"],
        "DAN": [0.70001, 0.5, None],
        "MoESR": [0.70002, 0.5, 0.6],
        "wins": [(3, 1), (10, 2), (2, 2)],
    }
)


def make(**settings):
    return tables.view(Table("means", "Means", FRAME, **settings), {"DAN": "t0"})


def test_best_of_a_column():
    view = make(best={"DAN": "max", "MoESR": "min"})
    assert [[cell.best for cell in row] for row in view.rows] == [
        [False, True, False, False],
        [False, False, True, False],
        [False, False, False, False],
    ]


def test_best_of_a_row_uses_full_precision_and_marks_all_ties():
    view = make(best_in_row=(["DAN", "MoESR"], "max"), digits={"DAN": 2, "MoESR": 2})
    shown = [[(cell.text, cell.best) for cell in row[1:3]] for row in view.rows]
    assert shown[0] == [("0.70", False), ("0.70", True)]
    assert shown[1] == [("0.50", True), ("0.50", True)]
    assert shown[2] == [("not available", False), ("0.60", False)]  # the best of one is no distinction


def test_sort_values_keep_full_precision_and_leave_missing_empty():
    view = make(digits={"DAN": 1})
    assert [row[1].value for row in view.rows] == ["0.70001", "0.5", ""]
    assert [row[3].value for row in view.rows] == ["3.0", "10.0", "2.0"]
    assert [column.numeric for column in view.columns] == [False, True, True, False]


def test_techniques_get_their_colour_class():
    view = make()
    assert [column.mark for column in view.columns] == ["", "t0", "", ""]


def test_long_tables_are_cut_and_say_so():
    frame = pd.DataFrame({"n": range(tables.MAX_ROWS + 5)})
    view = tables.view(Table("long", "Long", frame), {})
    assert len(view.rows) == tables.MAX_ROWS
    assert view.cut
    assert view.total == tables.MAX_ROWS + 5
    assert view.filterable


def test_the_best_is_searched_in_all_rows():
    frame = pd.DataFrame({"n": range(tables.MAX_ROWS + 5)})
    view = tables.view(Table("long", "Long", frame, best={"n": "max"}), {})
    assert not any(row[0].best for row in view.rows)


def test_two_columns_of_one_name_keep_their_own_cells():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert [cell.text for cell in tables.view(Table("twice", "Twice", frame), {}).rows[0]] == ["1", "2"]


def test_unknown_columns_are_named():
    with pytest.raises(ValueError, match=r"'means' has no columns \['MoSR'\]"):
        make(digits={"MoSR": 2})


def test_a_column_without_a_number_yet_is_still_one_of_numbers():
    frame = pd.DataFrame({"dataset": ["isaid"], "DAN": [float("nan")], "note": [None]})
    columns = tables.view(Table("means", "Means", frame, digits={"DAN": 3}), {}).columns
    assert [column.numeric for column in columns] == [False, True, False]
