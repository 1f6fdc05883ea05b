"""Where every number comes from: runs, references, details, reasons; and tables of the first schema."""

import hashlib
import json
import math

import pandas as pd
import pytest

from octosr.scores.store import ScoreStore

NIQE = {"implementation": "x", "version": "1"}
PSNR = {"implementation": "y", "compares_with": "hr"}
BLOCKS = NIQE | {"detail": "blocks"}


def frame(names, **columns):
    return pd.DataFrame({"image": list(names), "sha256": [f"sha-{n}" for n in names]} | columns)


@pytest.fixture
def store(tmp_path):
    return ScoreStore(tmp_path)


def put(store, table, definitions, run="first", **options):
    return store.write("dan", "isaid", table, definitions, {"kind": "study", "date": run}, **options)


def runs(store, column):
    return [run and run["date"] for run in store.provenance("dan", "isaid", column)]


def test_each_number_keeps_the_run_that_made_it(store):
    put(store, frame("ab", niqe=[1.0, 2.0]), {"niqe": NIQE})
    put(store, frame("bc", niqe=[math.nan, 3.0]), {"niqe": NIQE}, "second")
    assert runs(store, "niqe") == ["first", "first", "second"]
    put(store, frame("a", niqe=[5.0]), {"niqe": NIQE}, "third", names=["c", "a", "b"])
    assert runs(store, "niqe") == ["second", "third", "first"]
    assert store.info("dan", "isaid")["provenance"]["date"] == "third"
    assert store.info("dan", "isaid")["metrics"]["niqe"]["made_by"] == "1*1 2*1 0*1"
    put(store, frame("abc", niqe=[6.0, 7.0, 8.0]), {"niqe": NIQE}, "fourth")
    assert [run["date"] for run in store.info("dan", "isaid")["runs"]] == [
        "fourth"
    ]  # the others made nothing that is left


def test_a_run_that_adds_nothing_leaves_the_files_alone(store):
    put(store, frame("ab", niqe=[1.0, 2.0]), {"niqe": NIQE})
    before = {path: path.stat().st_mtime_ns for path in store.root.glob("dan/isaid.*")}
    merged = put(store, frame("ab", niqe=[math.nan] * 2), {"niqe": NIQE}, "second", names=["a", "b"])
    assert merged["niqe"].tolist() == [1.0, 2.0]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_changed_reference_makes_only_its_own_scores_unknown(store):
    references = {"hr": {"a": "ra", "b": "rb"}}
    put(store, frame("ab", niqe=[1.0, 2.0], psnr=[30.0, 31.0]), {"niqe": NIQE, "psnr": PSNR}, references=references)
    assert store.known("dan", "isaid", "psnr", PSNR) == {("sha-a", "ra"): 30.0, ("sha-b", "rb"): 31.0}
    assert store.known("dan", "isaid", "niqe", NIQE) == {("sha-a", ""): 1.0, ("sha-b", ""): 2.0}
    put(store, frame("abc", psnr=[math.nan] * 3), {"psnr": PSNR}, references={"hr": {"a": "new", "b": "rb", "c": "rc"}})
    assert store.known("dan", "isaid", "psnr", PSNR) == {("sha-b", "rb"): 31.0}
    assert store.known("dan", "isaid", "niqe", NIQE) == {("sha-a", ""): 1.0, ("sha-b", ""): 2.0}
    put(store, frame("b", niqe=[3.0]), {"niqe": NIQE})  # a run without references does not forget them
    assert store.known("dan", "isaid", "psnr", PSNR) == {("sha-b", "rb"): 31.0}


def test_details_stand_beside_their_score_and_are_no_metrics(store):
    table = frame("ab", **{"niqe": [1.0, 2.0], "niqe:blocks": [100.0, math.nan]})
    put(store, table, {"niqe": NIQE, "niqe:blocks": BLOCKS}, higher_is_better={"niqe": False})
    assert list(store.read("dan", "isaid").columns) == ["image", "sha256", "niqe", "niqe:blocks"]
    assert store.metrics("dan", "isaid") == {"niqe": False}
    assert list(store.summary("dan", "isaid").index) == ["niqe"]
    known = {("sha-a", ""): 1.0, ("sha-b", ""): 2.0}
    assert store.known("dan", "isaid", "niqe", NIQE, ["niqe:blocks"]) == known
    assert store.known("dan", "isaid", "niqe", NIQE, ["niqe:blocks", "niqe:other"]) == {}
    # a new score without its detail takes the old detail away with the old score
    put(store, frame("a", niqe=[1.5]), {"niqe": NIQE})
    assert store.read("dan", "isaid")["niqe:blocks"].isna().all()
    assert store.known("dan", "isaid", "niqe", NIQE, ["niqe:blocks"]) == {("sha-b", ""): 2.0}
    # another definition of the metric leaves no detail of the old one
    put(store, frame("ab", niqe=[7.0, 8.0]), {"niqe": NIQE | {"version": "2"}})
    assert list(store.read("dan", "isaid").columns) == ["image", "sha256", "niqe"]


def test_what_could_not_be_scored_is_known_and_what_does_not_apply_is_said(store):
    definitions = {"niqe": NIQE, "lr_psnr": {"compares_with": "lr"}}
    nothing = "not applicable: made from no LR image"
    put(
        store,
        frame("ab", niqe=[1.0, math.nan], lr_psnr=[math.nan] * 2),
        definitions,
        reasons={"niqe": {"b": "too small"}, "lr_psnr": {"a": nothing, "b": nothing}},
    )
    known = store.known("dan", "isaid", "niqe", NIQE)
    assert known[("sha-a", "")] == 1.0
    assert math.isnan(known[("sha-b", "")])
    assert store.known("dan", "isaid", "lr_psnr", {"compares_with": "lr"}) == {}
    assert store.summary("dan", "isaid")["state"].to_dict() == {"niqe": "partly scored", "lr_psnr": "not applicable"}
    assert store.info("dan", "isaid")["metrics"]["niqe"]["without"] == {"too small": [1]}
    assert runs(store, "niqe") == ["first", "first"]
    put(store, frame("c", niqe=[3.0]), {"niqe": NIQE}, "second")  # what is said of others stays
    assert store.info("dan", "isaid")["metrics"]["lr_psnr"]["without"] == {nothing: [0, 1]}
    put(store, frame("b", niqe=[2.0]), {"niqe": NIQE}, "third")
    assert store.info("dan", "isaid")["metrics"]["niqe"]["without"] == {}


def test_a_renamed_image_keeps_its_score_and_the_run_it_comes_from(store):
    put(store, frame("a", niqe=[1.0]), {"niqe": NIQE})
    table = pd.DataFrame({"image": ["new"], "sha256": ["sha-a"], "niqe": [math.nan]})
    merged = put(store, table, {"niqe": NIQE}, "second", names=["new"])
    assert merged.to_dict("list") == {"image": ["new"], "sha256": ["sha-a"], "niqe": [1.0]}
    assert runs(store, "niqe") == ["first"]


def test_names_that_are_no_unicode_survive_with_reasons(store):
    name = "not-utf8-\udcff"
    put(store, frame([name], niqe=[math.nan]), {"niqe": NIQE}, reasons={"niqe": {name: f"{name} is black"}})
    assert store.read("dan", "isaid")["image"].tolist() == [name]
    assert list(store.info("dan", "isaid")["metrics"]["niqe"]["without"]) == [f"{name} is black"]


def test_a_table_of_the_first_schema_is_read_and_brought_up_to_date(store):
    path = store.path("dan", "isaid")
    path.parent.mkdir(parents=True)
    content = b"image,sha256,niqe\na,sha-a,4.5\nb,sha-b,\n"
    path.write_bytes(content)
    metric = {"definition_id": "x", "definition": NIQE, "higher_is_better": False, "mean": 4.5, "n": 1}
    old = {
        "schema": 1,
        "technique": "dan",
        "dataset": "isaid",
        "kind": "study",
        "table_sha256": hashlib.sha256(content).hexdigest(),
        "images": 2,
        "metrics": {"niqe": metric},
        "provenance": {"kind": "study", "date": "long ago"},
    }
    path.with_suffix(".json").write_text(json.dumps(old))
    assert store.known("dan", "isaid", "niqe", NIQE) == {("sha-a", ""): 4.5}
    assert store.summary("dan", "isaid").loc["niqe", "state"] == "partly scored"
    assert store.info("dan", "isaid")["provenance"]["date"] == "long ago"
    put(store, frame("b", niqe=[5.5]), {"niqe": NIQE}, "now")
    assert json.loads(path.with_suffix(".json").read_text())["schema"] == 2
    assert store.read("dan", "isaid")["niqe"].tolist() == [4.5, 5.5]
    assert runs(store, "niqe") == ["long ago", "now"]
