"""Loading the published layout: what is recognised, what is refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from octosr.degradation.pipeline import Degradation
from octosr.errors import ConfigError, WrongWeightsError
from octosr.techniques.dan.layout import to_official
from octosr.techniques.dan.module import DAN
from octosr.techniques.dan.network_v1 import build_v1
from octosr.techniques.dan.network_v2 import build_v2
from octosr.techniques.dan.official import is_official, read_architecture

SIZES = {"features": 16, "blocks": 2, "estimator_features": 8, "estimator_blocks": 2}


def make(version: int = 2, stages=(2, 4), **changes) -> DAN:
    settings = {
        "kind": "isotropic",
        "sigma": dict.fromkeys((2, 3, 4, 8), (0.5, 2.0)),
        "kernel_size": dict.fromkeys((2, 3, 4, 8), 7),
    }
    dan = {"name": "dan", "degradation": Degradation(**settings), "version": version, "stages": stages, "groups": 3}
    return DAN(**(dan | {"pca_components": {2: 4, 3: 4, 4: 4, 8: 4}} | SIZES | changes))


def official(version: int, scale: int, kernel_size: int = 7, components: int = 4, **changes):
    """A network of random weights and its state dict in the published layout."""
    torch.manual_seed(100 * version + scale)
    sizes = SIZES | ({"groups": 3} if version == 2 else {}) | changes
    build = build_v1 if version == 1 else build_v2
    network = build(scale, kernel_size=kernel_size, components=components, **sizes)
    network.set_pca_basis(torch.linalg.qr(torch.randn(kernel_size**2, components))[0])
    return network, to_official(network)


def save(state, path: Path, prefix: str = "") -> Path:
    torch.save({prefix + key: value for key, value in state.items()}, path)
    return path


@pytest.mark.parametrize(
    ("version", "scale", "kernel_size", "components"),
    [(1, 2, 21, 10), (1, 3, 21, 10), (1, 4, 21, 10), (2, 2, 21, 10), (2, 3, 21, 10), (2, 2, 11, 10), (2, 4, 31, 15)],
)
def test_everything_is_read_off_the_shapes_of_the_published_sizes(version, scale, kernel_size, components):
    with torch.device("meta"):
        build = build_v1 if version == 1 else build_v2
        state = to_official(build(scale, kernel_size=kernel_size, components=components))
    found = read_architecture(state, Path("file.pth"))
    assert (found.version, found.scale, found.kernel_size, found.components) == (
        version,
        scale,
        kernel_size,
        components,
    )
    assert (found.features, found.estimator_features, found.estimator_blocks) == (64, 32, 5)
    assert (found.groups, found.blocks) == ((1, 40) if version == 1 else (5, 10))
    assert is_official(state)
    # a few names and shapes as the public implementation has them
    if version == 1:
        assert state["Restorer.body.39.body.0.weight"].shape == (74, 74, 3, 3)
        assert state["Restorer.body.0.body.3.body.0.weight"].shape == (4, 64, 1, 1)
        assert state["Estimator.out.weight"].shape == (10, 32, 3, 3)
        assert state["Estimator.head_HR.weight"].shape == (32, 3, 9, 9)
    else:
        assert state["Restorer.body.4.body.9.body2.2.weight"].shape == (64, 64, 1, 1)
        assert state["Restorer.head2.weight"].shape == (64, components, 1, 1)
        assert state["Estimator.tail.2.weight"].shape == (kernel_size**2, 64, 1, 1)
        assert state["Estimator.head_HR.0.weight"].shape == (32, 3, 4 * scale + 1, 4 * scale + 1)
    assert state["encoder"].shape == (1, kernel_size**2, components)
    assert state["init_kernel"].shape == (1, kernel_size, kernel_size)
    assert state["init_ker_map"].shape == (1, components)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("version", [1, 2])
def test_two_files_in_any_order_are_assigned_by_scale_and_rebuild_their_stage(version, prefix, tmp_path):
    x2, state2 = official(version, 2, kernel_size=5, components=3)
    x4, state4 = official(version, 4, kernel_size=9, components=6)
    paths = [save(state4, tmp_path / "four.pth", prefix), save(state2, tmp_path / "two.pth", prefix)]
    dan = make(version)
    line = dan.load_weights(paths)
    assert f"v{version}" in line
    assert "two.pth" in line
    lr = torch.rand(2, 3, 6, 5)
    with torch.no_grad():
        expected = x4(x2(lr).sr.clamp(0, 1)).sr
        assert torch.equal(dan.super_resolve(lr), expected)
    assert dan.network(2).kernel_size == 5
    assert dan.network(4).components == 6
    assert dan.network(2).pca_fitted


def test_loaded_basis_is_kept_and_training_on_needs_matching_kernels(tmp_path):
    _, state = official(2, 2, kernel_size=5, components=3)
    dan = make(stages=(2,))
    dan.load_weights([save(state, tmp_path / "x2.pth")])
    dan.setup("predict")
    with pytest.raises(ConfigError, match=r"5x5 taps.*makes 7x7.*degradation\.kernel_size\.2=5"):
        dan.setup("fit")
    _, state = official(2, 2)
    dan = make(stages=(2,))
    dan.load_weights([save(state, tmp_path / "x2.pth")])
    dan.setup("fit")
    assert torch.equal(dan.network(2).pca_basis, state["encoder"][0])
    dan.training_step({"hr": torch.rand(1, 3, 16, 16), "sample_id": torch.tensor([0])}).backward()


def test_own_checkpoint_is_told_from_published_files(tmp_path):
    one, other = make(), make()
    one.setup("fit")
    torch.save({"state_dict": one.state_dict(), "global_step": 7}, tmp_path / "last.ckpt")
    assert "7 steps" in other.load_weights([tmp_path / "last.ckpt"])
    for name, value in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    assert not any("_orig_mod" in name for name in one.state_dict())
    _, state = official(2, 2)
    with pytest.raises(WrongWeightsError, match=r"mixed.*last\.ckpt"):
        other.load_weights([tmp_path / "last.ckpt", save(state, tmp_path / "x2.pth")])


def refused(dan: DAN, *paths: Path) -> str:
    before = {name: value.clone() for name, value in dan.state_dict().items()}
    with pytest.raises(WrongWeightsError) as caught:
        dan.load_weights(list(paths))
    for name, value in dan.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} changed although the file was refused"
    return str(caught.value)


def test_wrong_files_are_refused_with_what_was_expected_and_found(tmp_path):
    v1, v2 = official(1, 2)[1], official(2, 2)[1]
    x2, x4 = save(v2, tmp_path / "x2.pth"), save(official(2, 4)[1], tmp_path / "x4.pth")
    assert "version: expected 2, found 1" in refused(make(stages=(2,)), save(v1, tmp_path / "v1.pth"))
    assert "is for x3, but technique.stages is [2, 4]" in refused(
        make(), x2, save(official(2, 3)[1], tmp_path / "x3.pth")
    )
    assert "x4 is missing" in refused(make(), x2)
    assert "Both" in refused(make(), x2, save(v2, tmp_path / "again.pth"))
    wide = save(official(2, 2, features=24, blocks=1)[1], tmp_path / "wide.pth")
    message = refused(make(stages=(2,)), wide)
    assert "features: expected 16, found 24" in message
    assert "blocks: expected 2, found 1" in message
    assert "bicubic_skip" in refused(make(bicubic_skip=True), x2, x4)
    assert "group_doubling" in refused(make(group_doubling=False), x2, x4)


def test_incomplete_damaged_and_foreign_files_are_refused(tmp_path):
    _, state = official(2, 2)
    dan = make(stages=(2,))
    missing = {key: value for key, value in state.items() if key != "Restorer.fusion.bias"}
    assert "missing: Restorer.fusion.bias (1)" in refused(dan, save(missing, tmp_path / "missing.pth"))
    extra = state | {"Restorer.extra.weight": torch.zeros(1)}
    assert "unknown: Restorer.extra.weight (1)" in refused(dan, save(extra, tmp_path / "extra.pth"))
    shape = state | {"Restorer.fusion.weight": torch.zeros(16, 16, 1, 1)}
    assert "(16, 16, 1, 1) instead of (16, 16, 3, 3)" in refused(dan, save(shape, tmp_path / "shape.pth"))
    headless = {key: value for key, value in state.items() if key != "encoder"}
    assert "tensor encoder, found nothing" in refused(dan, save(headless, tmp_path / "encoder.pth"))
    even = state | {"encoder": torch.zeros(1, 36, 4)}
    assert "square of an odd kernel size" in refused(dan, save(even, tmp_path / "even.pth"))
    steps = state | {"Restorer.upscale.0.weight": torch.zeros(16 * 25, 16, 3, 3)}
    assert "upsampler" in refused(dan, save(steps, tmp_path / "steps.pth"))
    assert "does not fit" in refused(dan, save({"conv.weight": torch.zeros(1)}, tmp_path / "foreign.pth"))
    (tmp_path / "damaged.pth").write_bytes(b"not a weight file")
    assert "cannot be read" in refused(dan, tmp_path / "damaged.pth")
