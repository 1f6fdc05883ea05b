"""The catalog against the study's tables."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from octosr.catalog import DATASETS, DOMAINS, KAGGLE, TECHNIQUES, find
from octosr.errors import ConfigError

CONF = Path(__file__).parents[1] / "conf" / "dataset"

TABLE = [
    ("acon", "condoaerial", "Aerial", "low_590"),
    ("amas", "massachbuildings", "Aerial", "low_22678915_15"),
    ("ashi", "ships", "Aerial", "low_boat0"),
    ("aufs", "ufsm-flame", "Aerial", "low_lake_resized_lake_frame12"),
    ("fcat", "catsfaces", "Fauna", "low_adryan_ra-unsplash-crop"),
    ("fdog", "dogsfaces", "Fauna", "low_500_jmv"),
    ("fflw", "flowers", "Flora", "low_image_00001"),
    ("fplp", "plantpat", "Flora", "low_99"),
    ("mmel", "melanomaisic", "Medical", "low_ISIC_0052060"),
    ("mstr", "structretina", "Medical", "low_im0001"),
    ("sama", "amazonia1", "Satellite", "AMAZONIA1_WFI_20211112_035_020_L41035"),
    ("scbe", "cbers4a", "Satellite", "20210911_208_127_L41428"),
    ("sdee", "deepglobe", "Satellite", "low_111335_sat_00"),
    ("sisa", "isaid", "Satellite", "low_P0033"),
]


def test_datasets_are_the_studys_in_its_order() -> None:
    assert [(d.code, d.name, d.domain) for d in DATASETS.values()] == [row[:3] for row in TABLE]
    assert list(DATASETS) == [d.name for d in DATASETS.values()]
    assert list(dict.fromkeys(d.domain for d in DATASETS.values())) == list(DOMAINS)
    for dataset, (*_, stem) in zip(DATASETS.values(), TABLE, strict=True):
        assert (dataset.count, dataset.lr_side) == (100, 128)
        assert dataset.is_study_stem(stem)
        assert dataset.is_study_stem(dataset.example)
        assert not dataset.is_study_stem(stem + " (1)")
        assert dataset.extensions
        assert all((dataset.title, dataset.source, dataset.licence))


def test_techniques() -> None:
    assert [t.title for t in TECHNIQUES.values()] == ["APA", "BlindSR", "DAN", "FastGAN", "MoESR"]
    assert [t.name for t in TECHNIQUES.values() if t.single_image] == ["blindsr", "dan", "moesr"]
    assert KAGGLE == "valdivinosantiago/dl-blindsr-datasets"


def test_nothing_can_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DATASETS["isaid"].count = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        DATASETS["new"] = DATASETS["isaid"]  # type: ignore[index]


def test_find() -> None:
    assert find("isaid").code == "sisa"
    for wrong, right in (("iSAID", "isaid"), ("massachusetts", "massachbuildings"), ("melanomaistic", "melanomaisic")):
        with pytest.raises(ConfigError, match=f"{wrong}.*Did you mean '{right}'"):
            find(wrong)
    with pytest.raises(ConfigError, match=r"zzzzzz.*condoaerial, .*isaid"):
        find("zzzzzz")


def test_options_are_exactly_the_14() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == set(DATASETS)
    for name in DATASETS:
        assert OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml")) == {"name": name, "path": None}
    assert {"demo", "demo_pairs", "folder"} <= {path.stem for path in (CONF / "more").glob("*.yaml")}
    for name in ("demo", "demo_pairs"):
        assert OmegaConf.to_container(OmegaConf.load(CONF / "more" / f"{name}.yaml")) == {"name": name, "path": None}
    folder = OmegaConf.load(CONF / "more" / "folder.yaml")
    assert folder.name == "folder"
    assert OmegaConf.is_missing(folder, "path")


def test_imports_no_torch() -> None:
    code = "import sys, octosr.catalog; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
