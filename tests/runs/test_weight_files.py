"""``weights=`` as a path, an address with its hash, or a name; and fetching them, from a server of this machine."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console

from download_server import Play, serve
from octosr import weights_catalog
from octosr.errors import ConfigError, DownloadError, MissingWeightsError, WrongWeightsError
from octosr.runs import prepare_weights as module
from octosr.runs.prepare import prepare
from octosr.runs.weight_files import find_files, is_address, parse_address, place
from octosr.runs.weights import describe_technique, find_weights
from octosr.techniques.realesrgan.module import RealESRGAN
from octosr.weights_catalog import CATALOG, Weights

CONTENT = os.urandom(50_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Says = Callable[[], str]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """What has been printed."""
    console = Console(file=io.StringIO(), width=300, soft_wrap=True)
    monkeypatch.setattr(module, "console", console)
    return lambda: console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Play, str]]:
    """A catalog of three files on a server of this machine: one known, one without hash, one archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("package/models/net.param", b"graph")
        opened.writestr("package/models/net.bin", b"numbers")
        opened.writestr("../evil", b"out")
    play = Play(CONTENT)
    zipped = Play(archive.getvalue())
    with serve(play) as url, serve(zipped) as zip_url:
        known = Weights(
            "known", "spandrel", (4,), "photographs", "MIT", "arXiv:0", "https://e.org", url, SHA256, 50_000
        )
        members = tuple(
            (f"package/models/net{suffix}", hashlib.sha256(content).hexdigest())
            for suffix, content in ((".param", b"graph"), (".bin", b"numbers"))
        )
        digest = hashlib.sha256(zipped.content).hexdigest()
        entries = (
            replace(known, evidence="measured"),
            replace(known, name="unknown", sha256=None, size=None),
            replace(known, name="packed", url=zip_url, sha256=digest, size=None, members=members),
            replace(known, name="by-hand", url=None),
        )
        fake = MappingProxyType({entry.name: entry for entry in entries})
        for place_of_it in (weights_catalog, module, __import__("octosr.runs.weight_files", fromlist=["CATALOG"])):
            monkeypatch.setattr(place_of_it, "CATALOG", fake)
        yield play, url


def fetch(root: Path, weights: str, output_root: Path) -> None:
    """What ``prepare.py weights=...`` does."""
    with initialize_config_dir(str(root / "conf" / "prepare"), version_base="1.3"):
        prepare(compose("prepare", [f"weights={weights}", f"output_root={output_root}"]))


def test_a_name_is_fetched_verified_and_found(
    root: Path, tmp_path: Path, catalog: tuple[Play, str], says: Says
) -> None:
    play, url = catalog
    with pytest.raises(MissingWeightsError, match=r"is not here .*python prepare\.py weights=known"):
        find_files("known", tmp_path)
    play.cuts = [20_000]
    fetch(root, "known", tmp_path)
    (path,) = find_files("known", tmp_path)
    assert path == place(url, SHA256, tmp_path)
    assert path.parent == tmp_path / "weights"
    assert path.read_bytes() == CONTENT
    assert [request.get("Range") for request in play.requests] == [None, "bytes=20000-"]
    assert f"50000 bytes  sha256 {SHA256}" in says()
    assert "Trained on: photographs. Licence: MIT" in says()
    assert "python eval.py technique=spandrel weights=known" in says()
    path.write_bytes(b"changed")
    with pytest.raises(WrongWeightsError, match="Remove it and fetch it again"):
        find_files("known", tmp_path)


def test_a_wrong_file_is_refused_and_removed(root: Path, tmp_path: Path, catalog: tuple[Play, str]) -> None:
    play, _url = catalog
    play.content = os.urandom(50_000)
    with pytest.raises(DownloadError, match=f"{SHA256} was expected. What came was removed"):
        fetch(root, "known", tmp_path)
    assert not [path for path in (tmp_path / "weights").iterdir() if path.suffix != ".lock"]


def test_a_name_without_hash_says_the_hash_and_asks_for_trust(
    root: Path, tmp_path: Path, catalog: tuple[Play, str], says: Says
) -> None:
    _, url = catalog
    with pytest.raises(WrongWeightsError, match=r"its hash is not known here.*prepare\.py weights=unknown"):
        find_files("unknown", tmp_path)
    fetch(root, "unknown", tmp_path)
    trusted = f"{url}#sha256={SHA256}"
    assert "Nothing vouches for this hash" in says()
    assert f"weights='{trusted}'" in says()
    with pytest.raises(WrongWeightsError, match="its hash is not known here"):
        find_files("unknown", tmp_path)
    assert find_files(trusted, tmp_path)[0].read_bytes() == CONTENT


def test_an_address_needs_its_hash(root: Path, tmp_path: Path, catalog: tuple[Play, str], says: Says) -> None:
    _, url = catalog
    with pytest.raises(WrongWeightsError, match=r"an address needs its hash.*prepare\.py weights='http"):
        find_files(url, tmp_path)
    with pytest.raises(MissingWeightsError, match=rf"prepare\.py weights='{url}#sha256={SHA256}'"):
        find_files(f"{url}#sha256={SHA256}", tmp_path)
    fetch(root, f"'{url}#sha256={SHA256}'", tmp_path)
    assert find_files(f"{url}#sha256={SHA256.upper()}", tmp_path)[0].read_bytes() == CONTENT
    for fragment in ("md5=abc", "sha256=abc", ""):
        with pytest.raises(WrongWeightsError, match="64 hexadecimal digits"):
            parse_address(f"{url}#{fragment}")


def test_an_archive_gives_its_files_and_nothing_else(root: Path, tmp_path: Path, catalog: tuple[Play, str]) -> None:
    fetch(root, "packed", tmp_path)
    graph, numbers = find_files("packed", tmp_path)
    assert (graph.name, graph.read_bytes()) == ("net.param", b"graph")
    assert (numbers.name, numbers.read_bytes()) == ("net.bin", b"numbers")
    assert not (tmp_path / "evil").exists()
    graph.write_bytes(b"changed")
    with pytest.raises(WrongWeightsError, match="was expected"):
        find_files("packed", tmp_path)


def test_what_cannot_be_fetched_is_said(root: Path, tmp_path: Path, catalog: tuple[Play, str]) -> None:
    with pytest.raises(MissingWeightsError, match=r"download it from https://e\.org"):
        fetch(root, "by-hand", tmp_path)
    with pytest.raises(MissingWeightsError, match="publish it where no program can fetch it"):
        find_files("by-hand", tmp_path)
    with pytest.raises(ConfigError, match="Did you mean 'known'"):
        fetch(root, "[by-hand,knwon]", tmp_path)
    with pytest.raises(MissingWeightsError, match=r"no such file .*Did you mean 'known'\? Names: python prepare"):
        find_files("knwon", tmp_path)
    with pytest.raises(MissingWeightsError, match=r"there is no such file \(looked in \S+\)\.$"):
        find_files("folder/knwon.pth", tmp_path)


def test_the_list_says_what_there_is(root: Path, tmp_path: Path, says: Says) -> None:
    fetch(root, "list", tmp_path)
    for name in CATALOG:
        assert name in says()
    assert "by hand: https://github.com/greatlog/DAN" in says()
    assert "not known" in says()


def test_the_catalog_is_consistent(root: Path) -> None:
    techniques = {path.stem for path in (root / "conf" / "technique").glob("*.yaml")}
    for name, entry in CATALOG.items():
        assert entry.name == name
        assert entry.technique in techniques
        assert min(entry.scales) >= 2
        assert (entry.sha256 is None) == (entry.evidence == "unknown")
        assert entry.sha256 is None or parse_address(f"{entry.url}#sha256={entry.sha256}").sha256 == entry.sha256
        assert entry.url is None or entry.url.startswith("https://")
        assert not Path(name).suffix
        assert not is_address(name)


def test_pretrained_techniques_bring_or_ask_for_weights(
    composer: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [tmp_path / "a.param", tmp_path / "a.bin"]
    for path in own:
        path.write_bytes(b"x")
    monkeypatch.setattr(RealESRGAN, "own_weights", classmethod(lambda cls, arguments: own))
    base = ("dataset=isaid", f"output_root={tmp_path}")
    described = describe_technique(composer("eval", "technique=realesrgan", *base))
    assert list(described.paths) == own
    assert [name for name, _ in described.weights] == ["a.param", "a.bin"]
    with pytest.raises(MissingWeightsError, match=r"technique=spandrel runs a network that you give"):
        find_weights(composer("eval", "technique=spandrel", *base))
    given = find_weights(composer("eval", "technique=spandrel", f"weights=[{own[0]},{own[1]}]", *base))
    assert given == own
