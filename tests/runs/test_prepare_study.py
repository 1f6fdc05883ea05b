"""prepare.py for the study's images: from Kaggle (a server that plays its part), from an archive, from a folder."""

from __future__ import annotations

import io
import logging
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from kaggle_server import Kaggle, kaggle_server
from octosr.catalog import DATASETS, KAGGLE, KAGGLE_URL
from octosr.data import kaggle as kaggle_module
from octosr.data.locate import MARKER, locate
from octosr.data.results import find_results
from octosr.data.study_place import SOURCE
from octosr.data.study_survey import survey
from octosr.errors import BadImageError, ConfigError, DownloadError, MissingDataError
from octosr.runs.console import console
from octosr.runs.prepare import prepare
from octosr.runs.prepare_look import look

SHIPS = tuple(f"low_boat{k}" for k in range(100))
LOCKS = {".prepare.lock", ".unpack.lock"}
CATS = tuple(f"low_{k}" for k in range(100))


def encoded(side: int, seed: int, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    colour = np.random.default_rng(seed).integers(0, 256, 3, dtype=np.uint8)
    Image.fromarray(np.broadcast_to(colour, (side, side, 3)).copy()).save(stream, kind)
    return stream.getvalue()


def study_files() -> dict[str, bytes]:
    """Two datasets and some published images, laid out as the study's public code does."""
    files = {f"DL_BlindSR_Datasets/LR/Aerial/ships/{stem}.png": encoded(128, k) for k, stem in enumerate(SHIPS)}
    files |= {f"DL_BlindSR_Datasets/LR/Fauna/catsfaces/{s}.jpg": encoded(128, k, "JPEG") for k, s in enumerate(CATS)}
    results = "DL_BlindSR_Datasets/Results/Aerial/ships"
    for k in range(3):
        files[f"{results}/DAN/img/{SHIPS[k]}_x2_x4.png"] = encoded(1024, k)
        files[f"{results}/DAN/imgx12/{SHIPS[k]}_x2_x4_res.png"] = encoded(224, k)
        files[f"{results}/BlindSR/img/{SHIPS[k]}.png"] = encoded(1024, k)
        files[f"{results}/FastGAN/img/{k}.png"] = encoded(512, k)
        files[f"{results}/APA/img/seed{1000 + k}.png"] = encoded(1024, k)
    return files | {"DL_BlindSR_Datasets/notes.txt": b"not an image"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "archive.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in study_files().items():
            zipped.writestr(name, content)
    return path


@pytest.fixture
def server(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    with kaggle_server() as kaggle:
        kaggle.archive = archive.read_bytes()
        for name in [name for name in os.environ if name.startswith("KAGGLE") or name.lower() == "no_proxy"]:
            monkeypatch.delenv(name)
        for name, value in kaggle.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(logging.getLogger("kagglehub"), "handlers", [])  # bound to a stream that pytest has closed
        yield kaggle


@pytest.fixture
def config(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DictConfig]:
    monkeypatch.setattr(console, "width", 200)
    shipped = OmegaConf.load(root / "conf" / "prepare" / "prepare.yaml")
    del shipped["defaults"], shipped["hydra"]

    def make(dataset: str = "ships,catsfaces", **settings: object) -> DictConfig:
        own = {"dataset": dataset, "data": {"root": str(tmp_path / "data")}, "output_root": str(tmp_path / "outputs")}
        merged = OmegaConf.merge(shipped, own, settings)
        assert isinstance(merged, DictConfig)
        return merged

    return make


Config = Callable[..., DictConfig]


def test_from_kaggle_to_places_where_every_command_finds_them(
    server: Kaggle, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(config())
    shown = capsys.readouterr().out
    assert shown.count("complete") == 2
    assert "APA 3, BlindSR 3, DAN 3, FastGAN 3" in shown
    assert "passed over: 3 copies of 224 pixels, made for MANIQA" in shown
    root = tmp_path / "data"
    files = locate("ships", root)
    assert [path.stem for path in files.lr] == list(SHIPS)
    assert (files.standin, files.own) == (False, False)
    assert files.lr[7].read_bytes() == encoded(128, 7)
    assert locate("catsfaces", root).lr[0].suffix == ".jpg"
    dan = find_results(root / "published" / "dan", "ships", "published_dan", SHIPS)
    assert list(dan.files) == list(SHIPS[:3])
    assert len(find_results(root / "published", "ships", "apa", None, paired=False).files) == 3
    assert f"technique.root={root / 'published' / 'apa'} technique.name=published_apa technique.paired=false" in shown
    asked = [path for path, _, _ in server.asked]
    assert asked[-1] == "/stored/archive.zip"

    prepare(config())  # all is there: nobody is asked
    assert "nothing was fetched" in capsys.readouterr().out
    assert len(server.asked) == len(asked)
    (root / "ships" / "LR" / f"{SHIPS[4]}.png").write_bytes(encoded(128, 99))  # a good image, but another one
    with pytest.raises(BadImageError, match=rf"{SHIPS[4]}\.png: changed since it was laid"):
        prepare(config(source="check"))
    prepare(config("ships"))  # fetched again and mended
    assert "1 files laid" in capsys.readouterr().out
    assert look("ships", root).is_study
    assert {path.name for path in root.iterdir()} == {"ships", "catsfaces", "published", *LOCKS}


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, r"refused .*HTTP 401.*no key was found.*kaggle\.json"),
        (403, r"refused .*HTTP 403"),
        (404, "no dataset .*HTTP 404"),
        (429, "HTTP 429.*later"),
        (503, "out of order.*HTTP 503"),
    ],
)
def test_refusals_have_their_remedy(server: Kaggle, config: Config, tmp_path: Path, status: int, says: str) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=says) as caught:
        prepare(config())
    assert KAGGLE in str(caught.value)
    assert KAGGLE_URL in str(caught.value)
    assert "dataset=all from=archive.zip" in str(caught.value)
    assert not list((tmp_path / "data").glob("[!.]*"))


def test_a_key_that_is_not_accepted(server: Kaggle, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "wrong")
    server.status = 401
    with pytest.raises(DownloadError, match="the key that was found is not accepted"):
        prepare(config())
    assert server.asked[-1][2] is not None


def test_a_cut_connection_goes_on_where_it_broke(server: Kaggle, config: Config, tmp_path: Path) -> None:
    larger = io.BytesIO(server.archive)
    with zipfile.ZipFile(larger, "a") as zipped:  # kagglehub writes by the mebibyte
        zipped.writestr("padding.bin", np.random.default_rng(0).bytes(3 << 20))
    server.archive = larger.getvalue()
    server.cut = 5 << 19
    with pytest.raises(DownloadError, match=r"broke off|stopped answering") as caught:
        prepare(config())
    assert "Run the same line again: what has come is kept" in str(caught.value)
    assert not list((tmp_path / "data").glob("[!.]*"))
    prepare(config())
    path, asked, _ = server.asked[-1]
    assert path == "/stored/archive.zip"
    assert asked == f"bytes={2 << 20}-"
    assert look("ships", tmp_path / "data").is_study


def test_a_wrong_checksum_is_refused_and_removed(server: Kaggle, config: Config, tmp_path: Path) -> None:
    server.wrong_hash = True
    with pytest.raises(DownloadError, match="another hash than the server states; it was removed"):
        prepare(config())
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_no_network_and_no_kagglehub(config: Config, server: Kaggle, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(DownloadError, match="cannot be reached"):
        prepare(config())
    monkeypatch.setattr(kaggle_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DownloadError, match=r"pip install 'octosr\[kaggle\]'"):
        prepare(config())


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_downloaded_by_hand(
    archive: Path, config: Config, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = archive
    if kind == "folder":
        source = tmp_path / "unpacked"
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(source)
    prepare(config(**{"from": str(source)}, published=False))
    root = tmp_path / "data"
    assert look("ships", root).is_study
    assert look("catsfaces", root).is_study
    assert not (root / "published").exists()
    assert {p.name for p in root.iterdir() if not p.name.startswith(".")} == {"ships", "catsfaces"}
    assert not list(root.glob(".unpacked-*"))
    assert "200 files laid" in capsys.readouterr().out
    if kind == "folder":
        assert len(survey(source).lr["ships"]) == 100  # copied, not moved
        (root / "ships" / "LR" / f"{SHIPS[0]}.png").unlink()
        prepare(config(**{"from": str(source)}, published=False))
        assert "1 files laid" in capsys.readouterr().out


def test_what_is_wrong_in_it_is_said_and_the_rest_is_laid(
    archive: Path, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "unpacked"
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(source)
    ships = source / "DL_BlindSR_Datasets" / "LR" / "Aerial" / "ships"
    (ships / f"{SHIPS[0]}.png").write_bytes(b"not an image")
    (ships / f"{SHIPS[1]}.png").write_bytes((ships / f"{SHIPS[1]}.png").read_bytes()[:-20])  # a header, no end
    (ships / f"{SHIPS[2]}.png").write_bytes(encoded(96, 0))
    with pytest.raises(BadImageError) as caught:
        prepare(config(**{"from": str(source)}))
    assert len(caught.value.problems) == 2
    assert {Path(file).stem for file, _ in caught.value.problems} == {SHIPS[0], SHIPS[1]}
    shown = capsys.readouterr().out
    assert "the study has 100, the study has 128x128" in shown
    assert look("ships", tmp_path / "data").files == 98
    assert look("catsfaces", tmp_path / "data").is_study
    shutil.rmtree(ships)
    with pytest.raises(MissingDataError, match=r"complete set.*ships \(98 images\)"):
        prepare(config(**{"from": str(source)}))


def test_stand_ins_give_way_and_other_images_do_not(archive: Path, config: Config, tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "ships").mkdir(parents=True)
    (root / "ships" / MARKER).write_text('{"kind": "STAND-IN", "files": {}}')
    (root / "catsfaces").mkdir()
    (root / "catsfaces" / "my_cat.png").write_bytes(encoded(128, 0))
    with pytest.raises(ConfigError, match=r"catsfaces: .*my_cat\.png is none of the study's images") as caught:
        prepare(config(**{"from": str(archive)}))
    assert "ships" not in str(caught.value)
    assert (root / "ships" / MARKER).is_file()  # nothing was written
    prepare(config("ships", **{"from": str(archive)}))
    assert look("ships", root).is_study
    assert not (root / "ships" / MARKER).exists()
    assert (root / "ships" / "LR" / SOURCE).is_file()
    (root / "Fauna").mkdir()
    (root / "catsfaces").rename(root / "Fauna" / "catsfaces")
    (root / "Fauna" / "catsfaces" / "my_cat.png").unlink()
    prepare(config("catsfaces", **{"from": str(archive)}))
    assert (root / "Fauna" / "catsfaces" / "LR" / f"{CATS[0]}.jpg").is_file()  # where the folder was


def test_archives_without_the_study_and_paths_that_are_none(config: Config, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="is not there"):
        prepare(config(**{"from": str(tmp_path / "none.zip")}))
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(MissingDataError, match="neither a folder nor a zip or tar archive"):
        prepare(config(**{"from": str(tmp_path / "text.zip")}))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").write_bytes(encoded(200, 0))
    with pytest.raises(MissingDataError, match=r"holds no image of ships, catsfaces.*low_boat0\.png.*name one"):
        prepare(config(**{"from": str(tmp_path / "photos")}))
    with pytest.raises(ConfigError, match="Own images make one dataset, and 14 are named"):
        prepare(config("all", images="own", **{"from": str(tmp_path / "photos")}))
    with pytest.raises(ConfigError, match="Did you mean 'own'"):
        prepare(config(images="ownn"))


def test_one_dataset_and_photographs_makes_a_set_of_ones_own(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    for k in range(3):
        (tmp_path / "photos" / f"view{k}.png").write_bytes(encoded(140 if k else 60, k))
    prepare(config("isaid", **{"from": str(tmp_path / "photos")}))
    shown = capsys.readouterr().out
    assert "2 of 3 images: LR images of 128x128, 0 of them with an HR reference" in shown
    assert "Fewer than the 100 asked for" in shown
    assert "view0.png: too small: 60x60" in shown
    assert "own images, not the study's" in shown
    found = look("isaid", tmp_path / "data")
    assert (found.own, found.is_study, found.files) == (True, False, 2)
    with pytest.raises(ConfigError, match="holds a set built from own images"):  # before anything is fetched
        prepare(config("isaid"))


def test_codes_and_names_tell_the_dataset(tmp_path: Path) -> None:
    for where, name in (("acon-dan", "x_x2_x4"), ("acon-moe", "x_x2_x4"), ("mmel", DATASETS["melanomaisic"].example)):
        (tmp_path / where).mkdir()
        side = 1024 if where != "mmel" else 128
        (tmp_path / where / f"{name}.png").write_bytes(encoded(side, 0))
    (tmp_path / "mmel" / "other.png").write_bytes(encoded(128, 0))
    found = survey(tmp_path)
    assert list(found.published) == [("dan", "condoaerial"), ("moesr", "condoaerial")]
    assert list(found.lr) == ["melanomaisic"]
    assert found.passed_over == {"neither an LR image by its name nor a technique's result": 1}
