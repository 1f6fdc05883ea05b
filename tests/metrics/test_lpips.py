import copy
import pickle
import socket
from types import SimpleNamespace

import pytest
import torch
import torchvision

from octosr.errors import ConfigError, MissingMetricError
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.lpips import Lpips
from octosr.metrics.lpips_network import ADDRESS, BACKBONES, find_backbone

BUILDERS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("LPIPS must not use the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files in torchvision's layout with seeded random weights (features only); the published ones are large."""
    folder = tmp_path_factory.mktemp("backbones")
    for net, builder in BUILDERS.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            features = getattr(torchvision.models, builder)(weights=None).features
        torch.save({f"features.{k}": v for k, v in features.state_dict().items()}, folder / f"{net}.pth")
    return {net: folder / f"{net}.pth" for net in BUILDERS}


def pair(n=2, height=70, width=66):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(n, 3, 9, 9, generator=generator)
    x = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return x, (x + 0.1 * torch.randn(n, 3, height, width, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize("net", ["alex", pytest.param("vgg", marks=pytest.mark.slow), "squeeze"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_values_are_those_of_the_lpips_package(net, files):
    """The authors' package with its own copy of the learned heads, and the same backbone weights."""
    import lpips

    reference = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    content = torch.load(files[net], weights_only=True)
    state = {k: content["features." + k.split(".", 1)[1]] for k in reference.net.state_dict()}
    reference.net.load_state_dict(state)
    x, y = pair()
    with torch.no_grad():
        expected = reference(x, y, normalize=True).flatten()
    metric = Lpips(net, weights=files[net])
    scores = metric.score(x, y)
    torch.testing.assert_close(scores, expected.double(), rtol=1e-5, atol=0)
    assert scores.min() > 0
    assert metric.score(x, x).tolist() == [0, 0]
    assert torch.equal(scores, torch.cat([metric.score(a[None], b[None]) for a, b in zip(x, y, strict=True)]))


@pytest.mark.parametrize("net", BACKBONES)
def test_smallest_images(net, files):
    side = BACKBONES[net].minimum_side
    x, y = pair(1, side, side + 3)
    assert Lpips(net, files[net]).score(x, y).isfinite().all()
    x, y = pair(2, side - 1, 64)
    with pytest.raises(UnscorableImageError, match=f"64x{side - 1} pixels, but both sides must be at least {side}"):
        Lpips(net, files[net]).score(x, y)


def test_files_are_torchvisions():
    for net, weights in (("alex", "AlexNet"), ("vgg", "VGG16"), ("squeeze", "SqueezeNet1_1")):
        known = getattr(torchvision.models, f"{weights}_Weights").DEFAULT
        assert known.url == ADDRESS + BACKBONES[net].file
        assert round(known.meta["_file_size"]) == BACKBONES[net].megabytes


def test_missing_weights_say_where_was_looked_and_what_to_do(tmp_path):
    with pytest.raises(MissingMetricError) as caught:
        Lpips()
    cached = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    for part in (str(cached), "metrics.lpips.weights=PATH", "metrics.download=true", "metrics.on_missing=skip"):
        assert part in str(caught.value)
    with pytest.raises(MissingMetricError, match=r"nowhere\.pth"):
        Lpips(weights=tmp_path / "nowhere.pth", download=True)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"x")
    assert find_backbone("alex", None, False, "lpips") == cached


def test_download_only_when_allowed_and_checked(tmp_path, monkeypatch):
    fetched = []

    def fetch(url, target, hash_prefix, progress):
        fetched.append((url, hash_prefix))
        with open(target, "wb") as file:
            file.write(b"weights")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    path = find_backbone("vgg", None, True, "lpips")
    assert path == tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"
    assert find_backbone("vgg", None, True, "lpips") == path
    assert fetched == [("https://download.pytorch.org/models/vgg16-397923af.pth", "397923af")]

    def fail(url, target, hash_prefix, progress):
        raise RuntimeError("invalid hash value")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(MissingMetricError, match=r"invalid hash value.*weights=PATH"):
        find_backbone("alex", None, True, "lpips")


def test_wrong_files_are_refused(files, tmp_path):
    path = tmp_path / "bad.pth"
    for content, reason in (
        (b"not a weight file", "cannot be read"),
        ({"features.0.weight": torch.zeros(1)}, r"does not fit.*features\.0\.weight"),
        ([1, 2, 3], "does not fit"),
        (SimpleNamespace(a=1), "cannot be read"),  # would need code to be run
    ):
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(MissingMetricError, match=reason):
            Lpips("alex", path).prepare()
    with pytest.raises(MissingMetricError, match=r"alexnet-owt-7be5be79\.pth"):
        Lpips("alex", files["vgg"]).prepare()
    metric = Lpips("squeeze", path)
    path.write_bytes(b"changed")
    with pytest.raises(MissingMetricError, match="removed or changed"):
        metric.prepare()


def test_network_is_frozen_hidden_and_left_out_of_pickles(files):
    state = torch.get_rng_state()
    metric = Lpips("squeeze", files["squeeze"])
    metric.prepare()
    metric.train()
    assert torch.equal(torch.get_rng_state(), state)
    network = metric._network()
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    assert metric.state_dict() == {}
    assert list(metric.parameters()) == []
    content = pickle.dumps(metric)
    assert len(content) < 100_000
    x, y = pair()
    for other in (pickle.loads(content), copy.deepcopy(metric)):
        assert other._holder == []
        assert torch.equal(other.score(x, y), metric.score(x, y))


def test_definition_direction_and_settings(files):
    metric = Lpips("squeeze", files["squeeze"])
    assert metric.definition["net"] == "squeeze"
    assert len(str(metric.definition["weights_sha256"])) == 64
    assert metric.higher_is_better is False
    assert metric.compares_with == "hr"
    with pytest.raises(ConfigError, match="Did you mean 'alex'"):
        Lpips("alexnet")
