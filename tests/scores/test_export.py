"""Exports: the study's layout as pandas and the study's scripts read it, and a tidy table."""

import csv
import json
import math
import subprocess
import sys

import pandas as pd
import pytest

from octosr.scores import export
from octosr.scores.store import ScoreStore
from octosr.scores.tidy import ordered_cells, tidy

NIQE = {"version": "1"}


@pytest.fixture
def store(tmp_path):
    store = ScoreStore(tmp_path / "scores")

    def put(technique, dataset, kind="study", **columns):
        names = list("ab")[: len(columns["niqe"])]
        table = pd.DataFrame({"image": names, "sha256": [f"{technique}{n}" for n in names]} | columns)
        definitions = {"niqe": NIQE, "niqe:blocks": NIQE | {"detail": "blocks"}, "psnr": {"compares_with": "hr"}}
        run = {"kind": kind, "date": "2026-01-01", "octosr": "0"}
        arguments = {"references": {"hr": {"a": "ra"}}, "higher_is_better": {"niqe": False, "psnr": True}}
        store.write(technique, dataset, table, {c: definitions[c] for c in columns}, run, **arguments)

    put("moesr", "ships", niqe=[5.0, 6.0])
    put("bicubic", "condoaerial", niqe=[1.0, 1 / 3], psnr=[30.0, math.nan])
    put("dan", "condoaerial", **{"niqe": [3.0, math.inf], "niqe:blocks": [100.0, 99.0]})
    put("dan", "folder", niqe=[7.0])
    put("bicubic", "isaid", kind="stand-in", niqe=[9.0, 9.5])
    return store


def test_cells_come_in_the_order_of_the_study(store):
    assert ordered_cells(store) == [
        ("dan", "condoaerial"),
        ("bicubic", "condoaerial"),
        ("moesr", "ships"),
        ("bicubic", "isaid"),
        ("dan", "folder"),
    ]


def test_study_json(store, tmp_path):
    written = export.to_study_json(store, tmp_path / "out")
    assert sorted(path.name for path in written) == ["STANDIN_df_niqe.json", "df_niqe.json", "df_psnr.json"]
    content = json.loads((tmp_path / "out" / "df_niqe.json").read_text())
    assert list(content) == [str(n) for n in range(7)]
    assert content["0"] == {"dom": "Aerial", "dset": "condoaerial", "tech": "DAN", "file": "a.png", "niqe": 3.0}
    assert content["1"]["niqe"] is None  # infinite
    assert content["3"] == {"dom": "Aerial", "dset": "condoaerial", "tech": "bicubic", "file": "b.png", "niqe": 1 / 3}
    assert content["6"]["dom"] == "Other"
    frame = pd.read_json(tmp_path / "out" / "df_niqe.json", orient="index")
    assert frame.columns.tolist() == ["dom", "dset", "tech", "file", "niqe"]
    assert frame[frame["tech"] == "MoESR"]["niqe"].tolist() == [5.0, 6.0]
    assert "isaid" not in set(frame["dset"])
    stand_ins = pd.read_json(tmp_path / "out" / "STANDIN_df_niqe.json", orient="index")
    assert set(stand_ins["dset"]) == {"isaid"}


def test_study_csv(store, tmp_path):
    export.to_study_csv(store, tmp_path)
    folder = tmp_path / "csv_NIQE"
    names = ["output_acon-bicubic.csv", "output_acon-dan.csv", "output_ashi-moe.csv", "output_folder-dan.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    with (folder / "output_acon-bicubic.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a.png", "1.0"], ["b.png", repr(1 / 3)]]
    assert (tmp_path / "csv_PSNR" / "output_acon-bicubic.csv").read_text() == "a.png,30.0\n"
    assert (tmp_path / "STANDIN_csv_NIQE" / "output_sisa-bicubic.csv").is_file()


def test_parquet_is_the_tidy_table(store, tmp_path):
    (path, standin) = export.to_parquet(store, tmp_path)
    assert (path.name, standin.name) == ("scores.parquet", "STANDIN_scores.parquet")
    frame, expected = pd.read_parquet(path), tidy(store)
    expected = expected[expected["kind"] == "study"]
    assert frame["value"].tolist()[:4] == [3.0, math.inf, 100.0, 99.0]
    assert frame[["technique", "dataset", "metric", "image"]].to_numpy().tolist() == (
        expected[["technique", "dataset", "metric", "image"]].to_numpy().tolist()
    )
    blocks = frame[frame["detail"] == "blocks"]
    assert blocks["metric"].tolist() == ["niqe", "niqe"]
    assert blocks["higher_is_better"].isna().all()
    psnr = frame[frame["metric"] == "psnr"].set_index("image")
    assert psnr["reference_sha256"].to_dict() == {"a": "ra", "b": None}
    assert psnr["date"].to_dict() == {"a": "2026-01-01", "b": None}
    assert bool(psnr["higher_is_better"]["a"])
    assert len(list(tmp_path.glob("*.parquet"))) == len(list(tmp_path.iterdir())) - 1  # nothing temporary is left


def test_without_a_parquet_package_the_message_names_one(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(export.ScoreStoreError, match=r"octosr\[parquet\]"):
        export.to_parquet(store, tmp_path)


def test_command(store, tmp_path, capsys):
    assert (
        export.main(["--scores", str(store.root), "--to", str(tmp_path / "x"), "--format", "study-json, study-csv"])
        == 0
    )
    said = capsys.readouterr().out.splitlines()
    assert str(tmp_path / "x" / "df_niqe.json") in said
    assert len(said) == len([path for path in (tmp_path / "x").rglob("*") if path.is_file()])
    for wrong, message in (
        (["--format", "xls"], "xls"),
        (["--scores", str(tmp_path / "none")], "holds no score tables"),
    ):
        with pytest.raises(SystemExit):
            export.main(["--scores", str(store.root), "--to", str(tmp_path), *wrong])
        assert message in capsys.readouterr().err


def test_the_command_imports_no_torch():
    code = "import sys, octosr.scores.export; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
