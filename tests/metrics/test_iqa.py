import copy
import pickle
import random
import shutil
import socket
import sys
import types

import numpy as np
import pyiqa
import pytest
import scipy.io
import torch
from pyiqa.utils import download_util
from torch import nn

import octosr.metrics.iqa as iqa
from octosr.errors import ConfigError, MissingMetricError
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.iqa import PyiqaMetric
from octosr.metrics.niqe import Niqe
from octosr.metrics.pyiqa_network import fingerprint
from octosr.pyiqa_table import PyiqaEntry, pyiqa_metrics

PARAMETERS = "mu_pris_param", "cov_pris_param"


@pytest.fixture(autouse=True)
def nothing_cached_and_no_network(monkeypatch, tmp_path):
    """An empty cache of weights; whoever tries to connect is noted."""
    attempts = []

    def note(*args, **kwargs):
        attempts.append(args)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", note)
    monkeypatch.setattr(socket.socket, "connect", note)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(download_util, "DEFAULT_CACHE_DIR", str(tmp_path / "hub" / "pyiqa"))
    yield
    assert attempts == []


def pair(n=2, height=96, width=110, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 12, 14, generator=generator)
    x = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return x, (x + 0.05 * torch.randn(n, 3, height, width, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize("name", ["piqe", "entropy", "gmsd", "nlpd", "vif", "fsim"])
def test_metrics_without_weights_are_pyiqas(name):
    x, y = pair()
    metric, theirs = PyiqaMetric(name), pyiqa.create_metric(name, device=torch.device("cpu"))
    target = y if metric.needs_reference else None
    scores = metric.score(x, target)
    assert scores.dtype == torch.float64
    for i in range(2):
        expected = theirs(x[i : i + 1]) if target is None else theirs(x[i : i + 1], y[i : i + 1])
        assert scores[i].item() == pytest.approx(float(expected), rel=1e-6)
    assert metric.higher_is_better == (not theirs.lower_better)
    assert metric.compares_with == ("hr" if theirs.metric_mode == "FR" else "nothing")
    assert metric.name == name


def test_niqe_with_the_official_parameters_is_ours(tmp_path):
    with np.load(iqa_parameters()) as content:
        mu, cov = (content[key] for key in PARAMETERS)
    path = tmp_path / "niqe.mat"
    scipy.io.savemat(path, {"mu_prisparam": mu.reshape(1, -1), "cov_prisparam": cov})
    x, _ = pair(2, 200, 210)
    metric = PyiqaMetric("niqe", weights=path, name="niqe_by_pyiqa")
    torch.testing.assert_close(metric.score(x), Niqe().score(x), rtol=1e-5, atol=0)
    other = tmp_path / "other.mat"
    scipy.io.savemat(other, {"mu_prisparam": mu.reshape(1, -1) * 1.01, "cov_prisparam": cov})
    assert PyiqaMetric("niqe", weights=other).definition != metric.definition  # its parameters are no buffers


def iqa_parameters():
    from importlib.resources import files

    return str(files("octosr.metrics") / "data" / "niqe_official.npz")


def random_cnniqa(path, seed=0):
    from pyiqa.archs.cnniqa_arch import CNNIQA

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CNNIQA(pretrained=None)
    torch.save({"params": network.state_dict()}, path)
    return network.eval()


def test_weights_by_path_and_from_the_cache(tmp_path):
    path = tmp_path / "own.pth"
    network = random_cnniqa(path)
    x, _ = pair(3)
    metric = PyiqaMetric("cnniqa", weights=path)
    with torch.no_grad():
        torch.testing.assert_close(metric.score(x), network(x).flatten().double(), rtol=1e-5, atol=1e-7)
    cached = tmp_path / "hub" / "pyiqa" / "CNNIQA_koniq10k-e6f14c91.pth"
    cached.parent.mkdir(parents=True)
    shutil.copy(path, cached)
    again = PyiqaMetric("cnniqa")
    assert torch.equal(again.score(x), metric.score(x))
    assert again.definition == metric.definition  # the same values, whatever the file is called
    random_cnniqa(path, seed=1)
    assert PyiqaMetric("cnniqa", weights=path).definition != metric.definition


def test_brisque_from_a_file(tmp_path):
    path = tmp_path / "svm.pth"
    generator = torch.Generator().manual_seed(0)
    torch.save((torch.randn(20, generator=generator), torch.randn(20, 36, generator=generator)), path)
    x, _ = pair()
    theirs = pyiqa.create_metric("brisque", device=torch.device("cpu"), pretrained_model_path=str(path))
    torch.testing.assert_close(PyiqaMetric("brisque", weights=path).score(x), theirs(x).flatten().double())


@pytest.mark.parametrize(
    ("name", "file", "folder"),
    [
        ("musiq", "musiq_koniq_ckpt-e95806b9.pth", "pyiqa"),
        ("brisque", "brisque_svm_weights.pth", "pyiqa"),
        ("cnniqa", "CNNIQA_koniq10k-e6f14c91.pth", "pyiqa"),
        ("hyperiqa", "HyperIQA-resnet50-koniq10k-c96c41b1.pth", "pyiqa"),  # not the backbone that it asks timm for
        ("paq2piq", "resnet18-f37072fd.pth", "checkpoints"),  # torchvision's
    ],
)
def test_missing_weights_are_named_and_nothing_is_fetched_or_printed(name, file, folder, tmp_path, capsys):
    with pytest.raises(MissingMetricError) as caught:
        PyiqaMetric(name)
    message = str(caught.value)
    place = tmp_path / "hub" / folder / file
    for part in (f"the file {file} at {place}", f"metrics.{name}.weights=PATH", "metrics.download=true"):
        assert part in message
    assert "metrics.on_missing=skip" in message
    assert capsys.readouterr() == ("", "")


def test_download_only_when_allowed(tmp_path, monkeypatch):
    source, fetched = tmp_path / "source.pth", []
    random_cnniqa(source)

    def fetch(url, target, hash_prefix=None, progress=True):
        fetched.append(url)
        shutil.copy(source, target)

    monkeypatch.setattr(download_util, "download_url_to_file", fetch)
    with pytest.raises(MissingMetricError):
        PyiqaMetric("cnniqa")
    assert fetched == []
    assert PyiqaMetric("cnniqa", download=True).score(pair()[0]).isfinite().all()
    PyiqaMetric("cnniqa")  # there now
    assert len(fetched) == 1


def test_wrong_files_are_refused(tmp_path):
    path = tmp_path / "bad.pth"
    for content, reason in (
        (b"not a weight file", "bad.pth"),
        ({"params": {"conv1.weight": torch.zeros(1)}}, "could not be built"),
        ({"other": 1}, "could not be built"),
        ({"params": types.SimpleNamespace(a=1)}, "run code|weights_only|Weights only"),  # would need code to be run
    ):
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(MissingMetricError, match=reason):
            PyiqaMetric("cnniqa", weights=path)
    with pytest.raises(MissingMetricError, match=r"no file .*nowhere\.pth"):
        PyiqaMetric("cnniqa", weights=tmp_path / "nowhere.pth")
    with pytest.raises(ConfigError, match=r"leave metrics\.piqe\.weights out"):
        PyiqaMetric("piqe", weights=path)


def test_a_package_that_is_missing_is_named(monkeypatch):
    for module in ("pyiqa.archs.clipiqa_arch", "pyiqa.archs.clip_imports"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "clip", None)
    with pytest.raises(MissingMetricError, match=r"clip.*pip install 'octosr\[iqa\]'"):
        PyiqaMetric("clipiqa")


def test_names():
    with pytest.raises(ConfigError, match="Did you mean 'musiq'"):
        PyiqaMetric("muisq")
    for name in iqa.NOT_PER_IMAGE:
        assert name in pyiqa_metrics()
        with pytest.raises(ConfigError, match="cannot be used here"):
            PyiqaMetric(name)


class Drawing(nn.Module):
    """Draws crops in all the ways that pyiqa's metrics do."""

    def forward(self, x):
        place = np.random.randint(0, 1000) + 1000 * random.randrange(1000)  # noqa: NPY002
        return x.mean(dim=(1, 2, 3)) + place + torch.rand(1)


class Backed(nn.Module):
    """Asks timm for a pretrained backbone; writes over all of it, most of it or nothing."""

    written = "all"

    def __init__(self):
        super().__init__()
        import timm

        self.net = timm.create_model("test_resnet", pretrained=True, num_classes=1)
        state = {k: torch.full_like(v, 0.01) for k, v in self.net.state_dict().items()}
        if self.written == "most":
            state.popitem()
        if self.written != "nothing":
            self.net.load_state_dict(state, strict=False)

    def forward(self, x):
        return self.net(x)


class Late(nn.Module):
    """Looks for a file when it is used."""

    def forward(self, x):
        return download_util.load_file_from_url("https://example.org/late.pth")


class Swallowing(nn.Module):
    """Goes on with whatever it has when a file cannot be fetched."""

    def __init__(self):
        super().__init__()
        try:
            download_util.load_file_from_url("https://example.org/weights.pth")
        except OSError:
            self.parameter = nn.Parameter(torch.zeros(1))


@pytest.fixture
def stand_in(monkeypatch):
    """``stand_in(Class)`` gives a metric whose pyiqa network is that class."""
    from pyiqa.default_model_configs import DEFAULT_CONFIGS
    from pyiqa.utils.registry import ARCH_REGISTRY

    def make(network):
        name = network.__name__
        monkeypatch.setitem(ARCH_REGISTRY._obj_map, name, network)
        monkeypatch.setitem(DEFAULT_CONFIGS, name, {"metric_opts": {"type": name}, "metric_mode": "NR"})
        monkeypatch.setattr(iqa, "pyiqa_metrics", lambda: {name: PyiqaEntry(name, False, False, name, "")})
        monkeypatch.setattr(iqa, "import_arch", lambda module, metric: sys.modules[__name__])
        return PyiqaMetric(name)

    return make


def test_random_crops_are_the_same_every_time_and_the_run_goes_on_undisturbed(stand_in):
    metric, (x, _) = stand_in(Drawing), pair(3)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    scores = metric.score(x)
    assert torch.equal(scores, metric.score(x))
    assert torch.equal(scores[1:2], metric.score(x[1:2]))
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
    metric.seed = 1
    assert not torch.equal(scores, metric.score(x))


def test_a_backbone_that_is_written_over_is_not_fetched(stand_in, monkeypatch):
    import timm

    create = timm.create_model
    assert stand_in(Backed).score(pair()[0]).isfinite().all()
    assert timm.create_model is create
    for written in ("most", "nothing"):
        monkeypatch.setattr(Backed, "written", written)
        with pytest.raises(MissingMetricError, match=r"Hugging Face|huggingface"):
            stand_in(Backed)


def test_what_is_refused_while_scoring_or_swallowed_while_building_is_said(stand_in, tmp_path):
    with pytest.raises(MissingMetricError, match=r"late\.pth"):
        stand_in(Late).score(pair()[0])
    with pytest.raises(MissingMetricError, match=rf"weights\.pth at {tmp_path}"):
        stand_in(Swallowing)


def test_an_image_without_a_score_is_named():
    x = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    with pytest.raises(UnscorableImageError, match=r"vif: pyiqa has no score for image 0 .*6x6 pixels") as caught:
        PyiqaMetric("vif").score(x, x)
    assert caught.value.positions == (0,)


def test_network_is_frozen_hidden_and_left_out_of_pickles(tmp_path):
    path = tmp_path / "own.pth"
    random_cnniqa(path)
    state = torch.get_rng_state()
    metric = PyiqaMetric("cnniqa", weights=path)
    metric.train()
    assert torch.equal(torch.get_rng_state(), state)
    network = metric._network()
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    assert metric.state_dict() == {}
    assert list(metric.parameters()) == []
    content = pickle.dumps(metric)
    assert len(content) < 100_000
    for other in (pickle.loads(content), copy.deepcopy(metric)):
        assert other._holder == []
        assert other.definition == metric.definition
    other = pickle.loads(content)
    random_cnniqa(path, seed=1)
    with pytest.raises(MissingMetricError, match="have changed"):
        other.prepare()


def test_fingerprint_sees_all_that_a_network_computes_with(tmp_path):
    file = tmp_path / "template.mat"
    file.write_bytes(b"one")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.plain, self.array = torch.ones(2), np.ones(2)
            self.hidden, self.file = [nn.Linear(1, 1)], str(file)

    torch.manual_seed(0)
    net = Net()
    seen = [fingerprint(net)]
    assert fingerprint(copy.deepcopy(net)) == seen[0]
    for change in (
        lambda: net.layer.weight.data.add_(1),
        lambda: net.plain.add_(1),
        lambda: net.array.__iadd__(1),
        lambda: net.hidden[0].bias.data.add_(1),
        lambda: file.write_bytes(b"two"),
    ):
        change()
        seen.append(fingerprint(net))
    assert len(set(seen)) == 6
