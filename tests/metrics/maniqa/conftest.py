"""MANIQA with random weights: the published ones cannot be part of a test.

``tiny`` makes pyiqa's class build the same network 48 times narrower, for tests of what happens around the layers
(crops, pooling, counting); the layers themselves are tested at full width in test_network.py.
"""

import functools
import socket
from types import SimpleNamespace
from weakref import WeakValueDictionary

import pytest
import torch

from octosr.metrics import maniqa_network, maniqa_weights
from octosr.metrics.maniqa_network import empty_network

WIDTH = 16


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Nothing from the internet, from the user's folders or from an earlier test."""

    def refuse(*args, **kwargs):
        raise AssertionError("MANIQA must not use the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(maniqa_network, "_shared", WeakValueDictionary())


def save_random(path, strength, prefix=""):
    """Weights away from the symmetric start, so that every part shows in the score."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = empty_network(0.8)
        for parameter in network.parameters():
            parameter.data.add_(strength * torch.randn_like(parameter))
        network.fc_score[3].bias.data.add_(1)  # the score ends in a ReLU: not zero, whatever the rest is
    torch.save({"params": {prefix + k: v for k, v in network.state_dict().items()}}, path)
    return path


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A file in pyiqa's layout for the network at full width."""
    path = save_random(tmp_path_factory.mktemp("maniqa") / "random.pt", 0.02, prefix="module.")
    yield path
    path.unlink()  # half a gigabyte


def shrink(monkeypatch):
    from pyiqa.archs import maniqa_arch
    from timm.models.vision_transformer import VisionTransformer

    def create_model(name, pretrained):
        assert name == "vit_base_patch8_224"
        return VisionTransformer(img_size=224, patch_size=8, embed_dim=WIDTH, depth=12, num_heads=2)

    monkeypatch.setattr(maniqa_arch, "timm", SimpleNamespace(create_model=create_model))
    monkeypatch.setattr(maniqa_arch, "MANIQA", functools.partial(maniqa_arch.MANIQA, embed_dim=WIDTH, dim_mlp=WIDTH))
    monkeypatch.setattr(maniqa_weights, "MARKS", {})


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        return save_random(tmp_path_factory.mktemp("tiny") / "tiny.pt", 0.05)


@pytest.fixture
def tiny(monkeypatch, tiny_file):
    """A weight file; while the test runs, everybody builds the narrow network that it fits."""
    shrink(monkeypatch)
    return tiny_file


@pytest.fixture
def theirs():
    """``theirs(file)`` is pyiqa's own class with the weights of a file, 20 crops, in evaluation mode."""

    def build(file, scale=0.8):
        from pyiqa.archs import maniqa_arch

        return maniqa_arch.MANIQA(scale=scale, pretrained_model_path=str(file)).requires_grad_(False).eval()

    return build


@pytest.fixture(scope="session")
def pictures():
    """``pictures(n, height, width)``: smooth colours with a little noise, 8-bit values in [0, 1]."""

    def make(n, height, width, seed=0):
        generator = torch.Generator().manual_seed(seed)
        coarse = torch.rand(n, 3, 9, 9, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
        noise = 0.05 * torch.randn(n, 3, height, width, generator=generator)
        return ((smooth + noise).clamp(0, 1) * 255).round() / 255

    return make
