"""Readers: the study's files, any CSV, several inputs together."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from octosr.catalog import DATASETS
from octosr.study.inputs import InputError, ScoreSet, read_csv, read_scores, read_study_csvs, read_study_json
from octosr.study.inputs.stems import lr_stem, pairing_key


@pytest.mark.parametrize(
    ("file", "stem"),
    [
        ("low_590_x2_x4.png", "low_590"),
        ("low_590_x2_x4_res.png", "low_590"),
        ("low_590_res.png", "low_590"),
        ("low_0.png", "low_0"),
        ("low_DJI_0002.JPG", "low_DJI_0002"),
        ("low_paul_hanaoka-unsplash-crop_x2_x4_res.png", "low_paul_hanaoka-unsplash-crop"),
        ("low_resized_test_fire_frame3_x2_x4_res.png", "low_resized_test_fire_frame3"),
        ("20210911_208_127_L41428_x2_x4.png", "20210911_208_127_L41428"),
        ("photo.v2", "photo.v2"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>"),
    ],
)
def test_lr_stem(file: str, stem: str) -> None:
    assert lr_stem(file) == stem


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda d: d.name)
def test_stems_of_the_study_come_back(dataset: object) -> None:
    example = dataset.example  # type: ignore[attr-defined]
    for name in (f"{example}_x2_x4.png", f"{example}_x2_x4_res.png", f"{example}.png", f"{example}_res.png"):
        assert lr_stem(name) == example


def test_generated_images_pair_with_nothing() -> None:
    keys = [pairing_key("fastgan", "0"), pairing_key("apa", "seed1000"), pairing_key("mine", "seed1000")]
    keys += [pairing_key("dan", "low_0"), pairing_key("other", "0", generated=True), pairing_key("dan", "0")]
    assert len(set(keys)) == 6
    assert pairing_key("dan", "low_0") == pairing_key("moesr", "low_0") == "low_0"


def test_the_studys_folder_is_read_whole_and_pairs(study_folder: Path) -> None:
    scores = read_scores(study_folder)
    assert scores.techniques == ["apa", "blindsr", "dan", "fastgan", "moesr"]
    assert scores.datasets == list(DATASETS)
    assert scores.metrics == ["niqe_study", "maniqa_study"]
    assert scores.higher_is_better == {"niqe_study": False, "maniqa_study": True}
    assert len(scores.studied) == 70
    for metric in scores.metrics:
        for _, part in scores.of(metric).groupby("dataset"):
            images = {t: set(g["image"]) for t, g in part.groupby("technique")}
            assert len(images["dan"]) == 100
            assert images["dan"] == images["moesr"] == images["blindsr"]
            assert not images["apa"] & images["dan"]
            assert not images["fastgan"] & (images["dan"] | images["apa"])
    both = scores.frame.groupby(["technique", "dataset", "image"])["metric"].nunique()
    assert (both == 2).all()  # NIQE and MANIQA name the same image differently, and are brought together


def test_csvs_equal_the_json(study_folder: Path) -> None:
    keys = ["technique", "dataset", "image"]
    a = read_study_json(study_folder / "df_maniqa.json").frame.sort_values(keys, ignore_index=True)
    b = read_study_csvs(study_folder / "csv_MANIQA").frame.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(a, b)


def test_inputs_that_contradict_each_other_are_refused(study_folder: Path, tmp_path: Path) -> None:
    content = json.loads((study_folder / "df_maniqa.json").read_bytes())
    content["0"]["maniqa"] += 0.5
    (tmp_path / "df_maniqa.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="differs between two inputs"):
        read_scores([study_folder / "df_maniqa.json", tmp_path / "df_maniqa.json"])


def test_null_is_not_available(tmp_path: Path) -> None:
    record = {"dom": "Flora", "dset": "flowers", "tech": "DAN", "file": "low_image_00001_x2_x4.png", "niqe": None}
    (tmp_path / "df_niqe.json").write_text(json.dumps({"0": record}))
    (row,) = read_scores(tmp_path).frame.to_dict("records")
    assert math.isnan(row.pop("value"))
    assert row == {
        "technique": "dan",
        "dataset": "flowers",
        "domain": "Flora",
        "image": "low_image_00001",
        "file": "low_image_00001_x2_x4.png",
        "metric": "niqe_study",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "cannot be read as JSON"),
        ("{}", "one record for each image"),
        ('{"0": 3}', "one record for each image"),
        ('{"0": {"dset": "isaid", "tech": "DAN", "file": "a", "niqe": 1}}', "a record has dom, dset, tech, file"),
        ('{"0": {"dom": "", "dset": "isaid", "tech": "DAN", "file": "a", "x": 1, "y": 2}}', "and one metric"),
        ('{"0": {"dom": "", "dset": "isaid", "tech": "DAN", "file": "a", "x": "b"}}', "differs from the first"),
    ],
)
def test_bad_json_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "df_x.json").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_scores(tmp_path / "df_x.json")
    assert "df_x.json" in str(caught.value)


def test_bad_headerless_csvs_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "csv_MANIQA"
    folder.mkdir()
    (folder / "output_sisa-dan.csv").write_text("low_P0033_x2_x4_res.png,0.5\nlow_P0034_x2_x4_res.png\n")
    with pytest.raises(InputError, match=r"output_sisa-dan.csv, line 2 is not 'file,score'"):
        read_scores(folder)
    (folder / "output_sisa-dan.csv").rename(folder / "output_xxxx-dan.csv")
    with pytest.raises(InputError, match=r"'xxxx-dan' is not a code of the study"):
        read_scores(folder)
    (folder / "output_xxxx-dan.csv").rename(tmp_path / "output_sisa-dan.csv")
    with pytest.raises(InputError, match="Name the folder csv_METRIC"):
        read_scores(tmp_path)


def test_csv_with_a_column_a_metric(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        "Method,Dset,Filename,NIQE,my_metric,niqe:blocks,sha256\n"
        "DAN,isaid,low_P0033_x2_x4.png,5.5,1,100,aa\n"
        "mine,isaid,low_P0033.png,,2,90,bb\n"
    )
    scores = read_csv(path)
    assert scores.techniques == ["dan", "mine"]
    assert scores.metrics == ["niqe"]  # nobody said whether a higher my_metric is better
    assert set(scores.frame["metric"]) == {"niqe", "my_metric"}
    assert scores.frame.loc[scores.frame["metric"] == "niqe", "value"].isna().tolist() == [False, True]
    assert scores.details["value"].tolist() == [100.0, 90.0]
    assert scores.frame["image"].unique().tolist() == ["low_P0033"]


def test_csv_with_a_row_a_score(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(
        "technique,dataset,image,metric,score\nDAN,melanomaistic,a,MANIQA,0.5\nDAN,melanomaistic,a,NIQE,4\n"
    )
    frame = read_csv(path).frame
    assert frame[["dataset", "domain", "metric", "value"]].to_numpy().tolist() == [
        ["melanomaisic", "Medical", "maniqa", 0.5],
        ["melanomaisic", "Medical", "niqe", 4.0],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"needs a column for technique \(one of technique, tech, method"),
        ("technique,dataset,file\nx,y,z\n", "no column that names the metric"),
        ("technique,dataset,file,score\nx,y,z,1\n", "no column that names the metric"),
        ("technique,dataset,file,niqe\nx,y,z,high\n", "line 2: 'high' in the column niqe is not a number"),
        ("technique,dataset,file,niqe\nx,y,z,1\nx,y,z,2\n", "stands there twice"),
        ("technique,Technique,dataset,file,niqe\nx,x,y,z,1\n", "more than one column named technique"),
    ],
)
def test_bad_csvs_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_csv(path)
    assert "bad.csv" in str(caught.value)


def test_nothing_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not there. Run eval.py first"):
        read_scores(tmp_path / "no")
    with pytest.raises(InputError, match="holds no score table"):
        read_scores(tmp_path)
    with pytest.raises(InputError, match="No scores were named"):
        read_scores([])


def test_metric_without_direction_cannot_rank(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("technique,dataset,file,strange\nx,y,z,1\n")
    scores = read_csv(path)
    assert scores.metrics == []
    with pytest.raises(InputError, match="Give its direction"):
        scores.direction("strange")
    told = ScoreSet(scores.frame, higher_is_better={"strange": True})
    assert told.metrics == ["strange"]


def test_values_are_kept_exactly(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=50)
    rows = "".join(f"t,d,i{i},{v!r}\n" for i, v in enumerate(values.tolist()))
    (tmp_path / "x.csv").write_text(f"technique,dataset,file,niqe\n{rows}")
    assert read_csv(tmp_path / "x.csv").frame["value"].tolist() == values.tolist()
