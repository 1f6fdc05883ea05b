import copy
import gc
import pickle
import socket
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.errors import ConfigError, MissingMetricError
from octosr.metrics import maniqa_network
from octosr.metrics.maniqa import Maniqa, study_crops
from octosr.metrics.maniqa_network import VARIANTS, crop_scores, empty_network, find_weights, load_network


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("MANIQA must not use the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file in pyiqa's layout with seeded random weights; the published ones cannot be part of a test."""
    path = tmp_path_factory.mktemp("maniqa") / "random.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = empty_network(0.8)
        for parameter in network.parameters():  # away from the symmetric start, so that every part shows in the score
            parameter.data.add_(0.02 * torch.randn_like(parameter))
    torch.save({"params": {f"module.{k}": v for k, v in network.state_dict().items()}}, path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def metric(weights):
    return Maniqa(weights)


def pictures(n, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 9, 9, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return ((smooth + 0.05 * torch.randn(n, 3, height, width, generator=generator)).clamp(0, 1) * 255).round() / 255


def test_study_crops_are_pillows_bicubic_on_eight_bits():
    images = pictures(2, 300, 180)
    crops = study_crops(images)
    for image, crop in zip(images, crops, strict=True):
        pixels = np.rint(image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        expected = np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(np.rint(crop.permute(1, 2, 0).numpy() * 255), expected)
        np.testing.assert_array_equal(crop.numpy(), expected.transpose(2, 0, 1).astype(np.float32) / 255)
    assert torch.equal(study_crops(crops), crops)  # 224x224 stays as it is


@pytest.mark.slow
def test_layers_equal_pyiqas_forward(metric, monkeypatch):
    """pyiqa's own forward, with its cropping taken out, on the same 224x224 input."""
    from pyiqa.archs import maniqa_arch

    network = metric._network()
    crop = study_crops(pictures(1, 256, 256))
    ours = crop_scores(network, crop)
    assert len(network.save_output.outputs) == 0
    monkeypatch.setattr(maniqa_arch, "uniform_crop", lambda x, crop_size, crop_num: x)
    with torch.no_grad():
        theirs = network(crop).reshape(1)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    assert float(ours) > 0


@pytest.mark.slow
def test_study_protocol_scores_each_image_by_itself(metric):
    images = pictures(2, 300, 260)
    scores = metric.score(images)
    assert scores.dtype == torch.float64
    assert float(scores[0]) != float(scores[1])
    torch.testing.assert_close(scores[1:], metric.score(images[1:]), rtol=1e-5, atol=0)


@pytest.mark.slow
def test_pyiqa_protocol_is_pyiqas_forward(weights):
    from pyiqa import create_metric

    metric = Maniqa(weights, protocol="pyiqa")
    network = metric._network()
    network.test_sample = 1  # 20 crops take most of a minute
    images = pictures(1, 230, 240)
    ours = metric.score(images)
    assert metric.definition["crops"] == 20
    metric._holder.clear()
    gc.collect()
    with pytest.MonkeyPatch.context() as patch:
        from pyiqa.archs import maniqa_arch

        create = maniqa_arch.timm.create_model
        patch.setattr(
            maniqa_arch, "timm", SimpleNamespace(create_model=lambda name, pretrained: create(name, pretrained=False))
        )
        reference = create_metric(
            "maniqa", device=torch.device("cpu"), pretrained_model_path=str(weights), test_sample=1
        )
    torch.testing.assert_close(ours, reference(images).reshape(1).double(), rtol=1e-6, atol=0)


def test_network_is_frozen_hidden_and_in_evaluation_mode(metric):
    network = metric._network()
    metric.train()
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    assert metric.state_dict() == {}
    assert list(metric.parameters()) == []
    assert list(metric.modules()) == [metric]
    owner = torch.nn.Module()
    owner.metric = metric
    assert owner.state_dict() == {}


def test_network_moves_with_the_metric(metric):
    moved = []
    metric._holder.append(SimpleNamespace(to=moved.append))
    try:
        metric.to("cpu")
    finally:
        metric._holder.pop()
    assert moved == [torch.device("cpu")]


def test_pickle_and_copy_leave_the_network_out(metric):
    metric.prepare()
    content = pickle.dumps(metric)
    assert len(content) < 100_000
    for other in (pickle.loads(content), copy.deepcopy(metric)):
        assert other._holder == []
        assert other.definition == metric.definition
    assert len(metric._holder) == 1


def test_definition(metric, weights):
    definition = metric.definition
    assert definition["variant"] == "koniq"
    assert definition["scale"] == 0.8
    assert definition["protocol"] == "study"
    assert definition["crops"] == 1
    assert definition["weights_sha256"] == maniqa_network.file_sha256(weights)
    assert Maniqa(weights, variant="pipal").definition["scale"] == 0.13
    assert metric.higher_is_better
    assert not metric.needs_reference


def test_scale_reaches_the_network():
    assert {name: variant.scale for name, variant in VARIANTS.items()} == {"koniq": 0.8, "kadid": 0.8, "pipal": 0.13}
    network = empty_network(0.13)
    assert {layer.scale for stage in (network.swintransformer1, network.swintransformer2) for layer in [stage]} == {
        0.13
    }


def test_building_leaves_timm_and_the_random_numbers_alone(monkeypatch):
    from pyiqa.archs import maniqa_arch

    timm, state = maniqa_arch.timm, torch.get_rng_state()

    def broken(**options):
        assert maniqa_arch.timm is not timm
        torch.rand(3)
        raise RuntimeError("no memory")

    monkeypatch.setattr(maniqa_arch, "MANIQA", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        empty_network(0.8)
    assert maniqa_arch.timm is timm
    assert torch.equal(torch.get_rng_state(), state)
    assert not maniqa_network._building.locked()


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

    assert {name: maniqa_network._url(name) for name in VARIANTS} == default_model_urls


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


def test_wrong_files_are_refused(tmp_path):
    path = tmp_path / "bad.pt"
    for content, reason in (
        (b"not a weight file", "cannot be read"),
        ({"params": {"vit.pos_embed": torch.zeros(1)}}, "does not fit"),
        ([1, 2, 3], "expected names of tensors"),
        (SimpleNamespace(a=1), "cannot be read"),  # would need code to be run
    ):
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(MissingMetricError, match=reason) as caught:
            load_network("koniq", path)
        assert "bad.pt" in str(caught.value)


def test_weights_changed_after_setting_up(tmp_path):
    path = tmp_path / "own.pt"
    path.write_bytes(b"before")
    metric = Maniqa(path)
    path.write_bytes(b"after")
    with pytest.raises(MissingMetricError, match="removed or changed"):
        metric.prepare()


def test_wrong_settings(tmp_path):
    path = tmp_path / "own.pt"
    path.write_bytes(b"x")
    with pytest.raises(ConfigError, match="Did you mean 'koniq'"):
        Maniqa(path, variant="konig")
    with pytest.raises(ConfigError, match="Did you mean 'study'"):
        Maniqa(path, protocol="studdy")
