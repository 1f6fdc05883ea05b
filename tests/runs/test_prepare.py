"""prepare.py: names, the check of what is there, and the stand-ins, through the function and the entry point."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from octosr.catalog import DATASETS, KAGGLE
from octosr.data.demo import build_demo
from octosr.data.standin import build_standins
from octosr.errors import BadImageError, ConfigError, MissingDataError
from octosr.runs.console import console
from octosr.runs.prepare import dataset_names, prepare
from octosr.runs.prepare_look import look

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("outputs") / "cache").parent


def config(root: Path, output: Path, dataset="all", source="check"):
    return OmegaConf.create(
        {
            "dataset": dataset,
            "source": source,
            "from": None,
            "images": "auto",
            "published": None,
            "data": {"root": str(root), "max_pixels": 2**28},
            "output_root": str(output),
        }
    )


def test_dataset_names():
    assert dataset_names("all") == list(DATASETS)
    assert dataset_names("isaid") == ["isaid"]
    assert dataset_names("isaid, ships,isaid") == ["isaid", "ships"]
    assert dataset_names(OmegaConf.create(["ships", "isaid"])) == ["ships", "isaid"]
    with pytest.raises(ConfigError, match="'isaid'"):
        dataset_names("isadi")
    with pytest.raises(ConfigError, match="names nothing"):
        dataset_names(" ,")


def test_unknown_source_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'standin'"):
        prepare(config(tmp_path, tmp_path, source="standins"))


def test_missing_is_one_message_with_the_way_to_get_it(tmp_path, capsys):
    with pytest.raises(MissingDataError) as error:
        prepare(config(tmp_path / "nothing", tmp_path))
    message = str(error.value)
    assert all(name in message for name in DATASETS)
    assert KAGGLE in message
    assert "source=standin" in message
    shown = capsys.readouterr().out
    assert shown.count("│ missing │") == len(DATASETS)


def test_check_tells_sizes_and_unusable_files(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(console, "width", 160)
    folder = tmp_path / "ships" / "LR"
    folder.mkdir(parents=True)
    for k, size in enumerate([128, 128, 96]):
        Image.fromarray(np.full((size, size, 3), 40 * k, np.uint8)).save(folder / f"low_boat{k}.png")
    found = look("ships", tmp_path)
    assert (found.files, found.unusable) == (3, [])
    assert found.sizes == {(128, 128): 2, (96, 96): 1}
    prepare(config(tmp_path, tmp_path, "ships"))
    shown = capsys.readouterr().out
    assert "128x128 (2), 96x96 (1)" in shown
    assert "the study has 100" in shown
    (folder / "low_boat3.png").write_bytes(b"not an image")
    with pytest.raises(BadImageError, match="low_boat3"):
        prepare(config(tmp_path, tmp_path, "ships"))
    assert "1 unusable" in capsys.readouterr().out
    (folder / "low_boat3.png").unlink()
    (folder / "low_boat2.jpg").write_bytes(b"the same stem again")
    with pytest.raises(BadImageError, match=r"low_boat2\.jpg and low_boat2\.png"):
        prepare(config(tmp_path, tmp_path, "ships"))


def test_standins_are_found_and_said_to_be_standins(tmp_path, capsys, cache):
    root = tmp_path / "data"
    prepare(config(root, cache.parent, "ships,isaid", "standin"))
    shown = capsys.readouterr().out
    assert "STAND-IN data for 2 datasets" in shown
    assert f"python eval.py -m dataset=ships,isaid technique=bicubic data.root={root}" in shown
    assert look("ships", root).standin
    assert look("ships", root).files == 6
    prepare(config(root, cache.parent, "ships,isaid"))
    assert "STAND-IN" in capsys.readouterr().out


def test_a_root_that_cannot_be_written_is_a_plain_error(tmp_path, cache):
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(ConfigError, match=r"cannot be written.*data\.root"):
        prepare(config(tmp_path / "data", cache.parent, "ships", "standin"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "prepare.py"), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_entry_point(tmp_path, cache):
    build_standins(tmp_path / "data", ["flowers"], cache / "demo-v1")
    where = (f"data.root={tmp_path / 'data'}", f"output_root={tmp_path / 'outputs'}")
    done = run("dataset=flowers", "source=check", *where)
    assert done.returncode == 0, done.stderr
    assert "STAND-IN" in done.stdout
    done = run("dataset=[flowers,isaid]", "source=check", *where)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert KAGGLE in done.stderr
    assert len(list((tmp_path / "outputs" / "runs" / "prepare").iterdir())) == 2
