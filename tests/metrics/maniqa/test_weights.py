"""Weight files: where they are found, what is understood, what is refused and with which advice."""

import sys
from types import ModuleType, SimpleNamespace
from urllib.error import URLError

import pytest
import torch

from octosr.errors import ConfigError, MissingMetricError
from octosr.metrics import maniqa_weights
from octosr.metrics.maniqa import Maniqa
from octosr.metrics.maniqa_network import load_network
from octosr.metrics.maniqa_weights import VARIANTS, find_weights, read_weights


def test_missing_weights_say_where_was_looked_and_what_to_do(tmp_path):
    cached = tmp_path / "hub" / "pyiqa" / "ckpt_koniq10k.pt"
    with pytest.raises(MissingMetricError) as caught:
        Maniqa()
    message = str(caught.value)
    for part in (str(cached), "metrics.maniqa.weights=PATH", "metrics.download=true", "metrics.on_missing=skip"):
        assert part in message
    with pytest.raises(MissingMetricError, match=r"nowhere\.pt"):
        Maniqa(tmp_path / "nowhere.pt")


def test_the_address_in_the_message_is_pyiqas():
    from pyiqa.archs.maniqa_arch import default_model_urls

    assert {name: maniqa_weights._url(name) for name in VARIANTS} == default_model_urls


def test_weights_are_found_in_the_cache_and_by_path(tmp_path):
    cached = tmp_path / "hub" / "pyiqa" / VARIANTS["pipal"].file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"x")
    assert find_weights("pipal", None, download=False) == cached
    assert find_weights("pipal", None, download=True) == cached
    with pytest.raises(MissingMetricError):
        find_weights("koniq", None, download=False)
    own = tmp_path / "own.pt"
    own.write_bytes(b"y")
    assert find_weights("koniq", own, download=False) == own
    with pytest.raises(ConfigError, match="variant=pipal"):
        find_weights("koniq", cached, download=False)


def test_download_only_when_allowed(tmp_path, monkeypatch):
    fetched = []

    def fetch(url, target, progress):
        fetched.append(url)
        with open(target, "wb") as file:
            file.write(b"weights")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    path = find_weights("kadid", None, download=True)
    assert path == tmp_path / "hub" / "pyiqa" / "ckpt_kadid10k.pt"
    assert path.read_bytes() == b"weights"
    find_weights("kadid", None, download=True)
    assert len(fetched) == 1
    assert fetched[0].endswith("ckpt_kadid10k.pt")

    def fail(url, target, progress):
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(MissingMetricError, match=r"no route.*weights=PATH"):
        find_weights("koniq", None, download=True)


def test_every_published_layout_is_understood(tiny, tmp_path):
    """pyiqa's, the official ones from one and from several GPUs, training checkpoints, and torch's old file format."""
    state = torch.load(tiny, weights_only=True)["params"]
    several = {f"module.{name}": value for name, value in state.items()}
    path = tmp_path / "other.pt"
    for content in (state, several, {"params": several}, {"state_dict": state, "epoch": 3}, {"model": state}):
        torch.save(content, path)
        network = load_network("koniq", path)
        torch.testing.assert_close(network.fc_score[0].weight, state["fc_score.0.weight"], rtol=0, atol=0)
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert read_weights(path).keys() == state.keys()


def test_the_official_pipal_release_is_refused_with_the_way_out(tmp_path, monkeypatch):
    """It holds the pickled module itself, of a class in the official repository."""
    module = ModuleType("models.maniqa")

    class MANIQA(torch.nn.Module):
        pass

    MANIQA.__module__, MANIQA.__qualname__, module.MANIQA = "models.maniqa", "MANIQA", MANIQA
    monkeypatch.setitem(sys.modules, "models", ModuleType("models"))
    monkeypatch.setitem(sys.modules, "models.maniqa", module)
    path = tmp_path / "ckpt_valid"
    for new_format in (True, False):
        torch.save(MANIQA(), path, _use_new_zipfile_serialization=new_format)
        with pytest.raises(MissingMetricError) as caught:
            Maniqa(path, variant="pipal").prepare()
        message = str(caught.value)
        for part in ("ckpt_valid", "models.maniqa.MANIQA", "run any code", VARIANTS["pipal"].file, "state_dict()"):
            assert part in message


def test_wrong_files_are_refused(tmp_path):
    path = tmp_path / "bad.pt"
    for content, reason in (
        (b"not a weight file", "cannot be read.*cut short"),
        (b"PK\x03\x04 the start of a zip file", "cannot be read.*cut short"),
        ({"params": {"vit.pos_embed": torch.zeros(1)}}, r"does not fit.*vit\.pos_embed.*\(1, 785, 768\).*\(1,\)"),
        ({"layer.weight": torch.zeros(1)}, "does not fit.*holds nothing"),
        ([1, 2, 3], "expected names of tensors"),
        (SimpleNamespace(a=1), "types.SimpleNamespace"),  # would need code to be run
    ):
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        for read in (lambda: load_network("koniq", path), Maniqa(path).prepare):
            with pytest.raises(MissingMetricError, match=reason) as caught:
                read()
            assert "bad.pt" in str(caught.value)
            assert "weights_only` to `False" not in str(caught.value)


def test_a_file_that_lacks_a_layer_is_refused(tiny, tmp_path):
    state = torch.load(tiny, weights_only=True)["params"]
    del state["conv2.bias"]
    torch.save(state, tmp_path / "short.pt")
    with pytest.raises(MissingMetricError, match=r"short\.pt does not fit.*conv2\.bias"):
        load_network("koniq", tmp_path / "short.pt")


@pytest.mark.slow
def test_the_marks_are_those_of_the_network(weights):
    state = read_weights(weights)
    assert len(state) == 316
    assert len(maniqa_weights.MARKS) == 6
    assert all(tuple(state[name].shape) == shape for name, shape in maniqa_weights.MARKS.items())
