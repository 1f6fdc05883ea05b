import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from octosr.scores import files, locking
from octosr.scores.store import DamagedTableError, ScoreStore, ScoreStoreError

NIQE = {"implementation": "x", "version": "1", "crop_border": 0}
PSNR = {"implementation": "y", "data_range": 1.0}


def table(**columns):
    n = len(next(iter(columns.values())))
    head = {"image": [f"im{i}" for i in range(n)], "sha256": [f"{i:064x}" for i in range(n)]}
    return pd.DataFrame(head | columns)


def put(root, **options):
    arguments = {"definitions": {"niqe": NIQE}, "provenance": {"kind": "study"}} | options
    return ScoreStore(root).write("dan", "isaid", arguments.pop("table", table(niqe=[1.0, 2.0, 4.5])), **arguments)


def test_write_read_known_summary_info(tmp_path):
    written = put(tmp_path, higher_is_better={"niqe": False}, provenance={"kind": "study", "versions": {"torch": "2"}})
    scores = ScoreStore(tmp_path)
    pd.testing.assert_frame_equal(scores.read("dan", "isaid"), written)
    assert scores.path("dan", "isaid") == tmp_path / "dan" / "isaid.csv"
    assert scores.known("dan", "isaid", "niqe", dict(reversed(NIQE.items()))) == {
        (f"{0:064x}", ""): 1.0,
        (f"{1:064x}", ""): 2.0,
        (f"{2:064x}", ""): 4.5,
    }
    assert scores.known("dan", "isaid", "niqe", NIQE, kind="stand-in") == {}
    assert scores.known("dan", "isaid", "niqe", NIQE | {"version": "2"}) == {}
    assert scores.known("dan", "isaid", "psnr", PSNR) == {}
    assert scores.known("dan", "ships", "niqe", NIQE) == {}
    summary = scores.summary("dan", "isaid")
    assert summary.loc["niqe", "mean"] == 2.5
    assert summary.loc["niqe", "n"] == 3
    assert summary.loc["niqe", "higher_is_better"] is False
    info = scores.info("dan", "isaid")
    assert info["kind"] == "study"
    assert info["metrics"]["niqe"]["definition"] == NIQE
    assert info["provenance"]["versions"] == {"torch": "2"}
    assert scores.cells() == [("dan", "isaid")]
    assert sorted(p.name for p in (tmp_path / "dan").iterdir()) == [".isaid.lock", "isaid.csv", "isaid.json"]


def test_nothing_there(tmp_path):
    scores = ScoreStore(tmp_path / "none")
    assert scores.read("dan", "isaid").empty
    assert scores.summary("dan", "isaid").empty
    assert scores.info("dan", "isaid") == {}
    assert scores.cells() == []


def test_infinite_and_missing_scores(tmp_path):
    put(
        tmp_path,
        table=table(psnr=[math.inf, 30.0, math.nan], niqe=[math.nan] * 3),
        definitions={"psnr": PSNR, "niqe": {}},
    )
    scores = ScoreStore(tmp_path)
    assert scores.read("dan", "isaid")["psnr"].tolist()[:2] == [math.inf, 30.0]
    summary = scores.summary("dan", "isaid")
    assert summary.loc["psnr", "mean"] == math.inf
    assert summary.loc["psnr", "n"] == 2
    assert math.isnan(summary.loc["niqe", "mean"])
    assert summary.loc["niqe", "n"] == 0
    json.loads((tmp_path / "dan" / "isaid.json").read_text(), parse_constant=pytest.fail)  # strict JSON


def test_writing_again_merges(tmp_path):
    put(tmp_path)
    merged = put(tmp_path, table=table(psnr=[30.0, 31.0]), definitions={"psnr": PSNR}, higher_is_better={"psnr": True})
    assert merged["niqe"].tolist() == [1.0, 2.0, 4.5]
    assert merged["psnr"].tolist()[:2] == [30.0, 31.0]
    assert ScoreStore(tmp_path).summary("dan", "isaid")["n"].to_dict() == {"niqe": 3, "psnr": 2}
    assert put(tmp_path, names=["im2", "im0"])["image"].tolist() == ["im2", "im0"]


def test_scores_of_another_kind_of_data_are_not_kept(tmp_path):
    put(tmp_path, provenance={}, kind="stand-in")
    merged = put(tmp_path, table=table(psnr=[30.0]), definitions={"psnr": PSNR})
    assert list(merged.columns) == ["image", "sha256", "psnr"]
    assert len(merged) == 1


def test_columns_and_definitions_must_match(tmp_path):
    with pytest.raises(ValueError, match="do not match"):
        put(tmp_path, definitions={"psnr": PSNR})
    with pytest.raises(ValueError, match="do not match"):
        put(tmp_path, definitions={})


@pytest.mark.parametrize("name", ["a/b", "", ".hidden", "..", "a\\b"])
def test_names_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(ScoreStoreError, match="file name"):
        ScoreStore(tmp_path).path("dan", name)


def damage_truncate(csv, sidecar):
    csv.write_bytes(csv.read_bytes()[:-20])


def damage_edit(csv, sidecar):
    csv.write_text(csv.read_text().replace("4.5", "3.5"))


def damage_remove_table(csv, sidecar):
    csv.unlink()


def damage_remove_sidecar(csv, sidecar):
    sidecar.unlink()


def damage_truncate_sidecar(csv, sidecar):
    sidecar.write_text(sidecar.read_text()[:30])


def damage_edit_sidecar(csv, sidecar):
    sidecar.write_text(sidecar.read_text().replace('"n": 3', '"n": 4'))


def damage_empty(csv, sidecar):
    csv.write_bytes(b"")
    sidecar.write_bytes(b"")


DAMAGES = {  # and which of the three rows survive
    damage_truncate: ["im0", "im1"],
    damage_edit: ["im0", "im1"],
    damage_remove_table: [],
    damage_remove_sidecar: [],
    damage_truncate_sidecar: [],
    damage_edit_sidecar: [],
    damage_empty: [],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_named_with_the_remedy(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(files, "_PAUSE", 0.0)
    put(tmp_path)
    csv, sidecar = tmp_path / "dan" / "isaid.csv", tmp_path / "dan" / "isaid.json"
    damage(csv, sidecar)
    scores = ScoreStore(tmp_path)
    for use in (
        lambda: scores.read("dan", "isaid"),
        lambda: scores.summary("dan", "isaid"),
        lambda: scores.known("dan", "isaid", "niqe", NIQE),
    ):
        with pytest.raises(DamagedTableError, match=r"isaid\.(csv|json).*[Ss]coring again .*python eval\.py") as caught:
            use()
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("through", ["mend", "write"])
def test_damaged_files_are_set_aside_and_what_is_whole_is_kept(tmp_path, damage, through, caplog):
    put(tmp_path)
    csv, sidecar = tmp_path / "dan" / "isaid.csv", tmp_path / "dan" / "isaid.json"
    damage(csv, sidecar)
    there = {path.name: path.read_bytes() for path in (csv, sidecar) if path.exists()}
    scores, kept = ScoreStore(tmp_path), DAMAGES[damage]
    if through == "mend":
        aside = scores.mend("dan", "isaid")
        assert [path.name for path in aside] == [f"{name}.damaged-1" for name in there]
        assert scores.read("dan", "isaid")["image"].tolist() == kept
        assert scores.known("dan", "isaid", "niqe", NIQE) == {
            (f"{i:064x}", ""): (1.0, 2.0)[i] for i in range(len(kept))
        }
        assert scores.mend("dan", "isaid") == []
    put(tmp_path, table=table(niqe=[7.0, 8.0, 9.0]).iloc[len(kept) :])
    for name, content in there.items():  # nothing is lost
        assert (tmp_path / "dan" / f"{name}.damaged-1").read_bytes() == content
    assert scores.read("dan", "isaid")["niqe"].tolist() == [1.0, 2.0][: len(kept)] + [7.0, 8.0, 9.0][len(kept) :]
    assert f"{len(kept)} rows are whole" in caplog.text
    damage_truncate(csv, sidecar)
    assert "isaid.csv.damaged-" in scores.mend("dan", "isaid")[0].name
    assert len(list((tmp_path / "dan").glob("isaid.csv.damaged-*"))) == 1 + ("isaid.csv" in there)


def test_a_later_version_is_not_taken_for_damage(tmp_path):
    put(tmp_path)
    sidecar = tmp_path / "dan" / "isaid.json"
    sidecar.write_text(sidecar.read_text().replace('"schema": 2', '"schema": 99'))
    for use in (lambda: put(tmp_path), lambda: ScoreStore(tmp_path).read("dan", "isaid")):
        with pytest.raises(ScoreStoreError, match=r"isaid\.json.*schema 99.*Update octosr") as caught:
            use()
        assert not isinstance(caught.value, DamagedTableError)
    assert sorted(p.name for p in (tmp_path / "dan").iterdir()) == [".isaid.lock", "isaid.csv", "isaid.json"]


class KilledError(BaseException):
    pass


def test_a_kill_at_any_step_leaves_the_old_or_the_new_state(tmp_path, monkeypatch):
    new = {"table": table(niqe=[7.0, 8.0, 9.0], psnr=[1.0, 2.0, 3.0]), "definitions": {"niqe": {"v": 2}, "psnr": PSNR}}
    old = put(tmp_path / "old")
    expected = put(tmp_path / "new", **new)
    write, replace = files._write_synced, Path.replace
    seen = set()
    for step in range(20):
        root, calls = tmp_path / f"kill{step}", iter(range(100))
        put(root)

        def killed_write(path, content, calls=calls, step=step):
            if next(calls) == step:
                path.write_bytes(content[: len(content) // 2])
                raise KilledError
            write(path, content)

        def killed_replace(self, target, calls=calls, step=step):
            if next(calls) == step:
                raise KilledError
            return replace(self, target)

        monkeypatch.setattr(files, "_write_synced", killed_write)
        monkeypatch.setattr(Path, "replace", killed_replace)
        finished = True
        try:
            put(root, **new)
        except KilledError:
            finished = False
        monkeypatch.undo()
        state = ScoreStore(root).read("dan", "isaid")
        which = "old" if state.equals(old) else "new"
        assert state.equals(old) or state.equals(expected), step
        seen.add((which, finished))
        # the next writer goes on from there, and a kill of that one still loses nothing
        assert put(root, **new).equals(expected)
        assert sorted(p.name for p in (root / "dan").iterdir()) == [".isaid.lock", "isaid.csv", "isaid.json"]
        if finished:
            break
    assert seen == {("old", False), ("new", False), ("new", True)}


def test_a_half_finished_write_survives_a_second_kill(tmp_path, monkeypatch):
    put(tmp_path)
    replace = Path.replace

    def killed_move(self, target):
        if self.name == ".isaid.csv.next":
            raise KilledError
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed_move)
    with pytest.raises(KilledError):
        put(tmp_path, table=table(niqe=[7.0]))
    monkeypatch.undo()

    def killed_write(path, content):
        path.write_bytes(b"")
        raise KilledError

    monkeypatch.setattr(files, "_write_synced", killed_write)
    with pytest.raises(KilledError):
        put(tmp_path, table=table(niqe=[8.0]))
    assert ScoreStore(tmp_path).read("dan", "isaid")["niqe"].tolist() == [7.0, 2.0, 4.5]


def test_a_held_lock_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "LOCK_SECONDS", 0.05)
    put(tmp_path)
    with FileLock(tmp_path / "dan" / ".isaid.lock"), pytest.raises(ScoreStoreError, match=r"\.isaid\.lock"):
        put(tmp_path)


WRITER = """
import sys, pandas as pd
from octosr.scores.store import ScoreStore
root, metric = sys.argv[1:]
store = ScoreStore(root)
for i in range(15):
    row = pd.DataFrame({"image": [f"{metric}{i}"], "sha256": [f"{metric}{i}"], metric: [float(i)]})
    store.write("dan", "isaid", row, {metric: {"v": 1}}, {"kind": "study"})
    store.read("dan", "isaid")
"""


def test_two_processes_writing_at_once_lose_nothing(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), metric]) for metric in ("niqe", "psnr")]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0]
    frame = ScoreStore(tmp_path).read("dan", "isaid").set_index("image")
    assert len(frame) == 30
    for metric in ("niqe", "psnr"):
        assert [frame.loc[f"{metric}{i}", metric] for i in range(15)] == list(range(15))


def test_reading_needs_no_write_access(tmp_path):
    put(tmp_path)
    (tmp_path / "dan" / ".isaid.lock").unlink()
    before = sorted(os.listdir(tmp_path / "dan"))
    ScoreStore(tmp_path).read("dan", "isaid")
    ScoreStore(tmp_path).summary("dan", "isaid")
    assert sorted(os.listdir(tmp_path / "dan")) == before


def test_the_store_imports_no_torch():
    code = "import sys, octosr.scores.store; assert 'torch' not in sys.modules and 'pandas' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
