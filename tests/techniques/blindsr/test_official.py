"""Loading the published layout: what is recognised, what is refused, and what the refusal says."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from octosr.errors import WrongWeightsError
from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.module import BlindSR
from octosr.techniques.blindsr.network import Discriminator, Generator, Sizes
from octosr.techniques.blindsr.official import names, part_of, to_official

SMALL: dict[str, Any] = {"code": 4, "features": 8, "growth": 4, "layers": 2, "blocks": 1}


def make(**changes: Any) -> BlindSR:
    torch.manual_seed(0)
    return BlindSR(**({"name": "blindsr"} | SMALL | changes))


def write(folder: Path, prefix: str = "", **changes: Any) -> list[Path]:
    """Both files with random weights."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(7)
    sizes = SMALL | changes
    networks = {"generator": Generator(2, 15, Sizes(**sizes)), "discriminator": Discriminator(2, Sizes(**sizes))}
    for name, network in networks.items():
        content = to_official(network)
        state = {prefix + key: value for key, value in content.pop(f"{name}_state_dict").items()}
        torch.save(content | {f"{name}_state_dict": state, "optimizer_state_dict": {}}, folder / f"{name}.pth")
    return [folder / f"{name}.pth" for name in networks]


def test_layout_of_the_published_sizes():
    """Names and shapes as the public implementation has them."""
    generator, discriminator = to_official(Generator(2, 15)), to_official(Discriminator(2))
    state = generator["generator_state_dict"]
    assert len(state) == 94
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert shapes["kernel_linear_mapping.weight"] == (15, 225)
    assert shapes["initial_convolution.0.weight"] == (64, 30, 3, 3)
    assert shapes["dense_blocks.3.conv_layers.4.0.weight"] == (128, 128, 1, 1)
    assert shapes["dense_blocks.3.conv_layers.4.2.weight"] == (16, 128, 3, 3)
    assert shapes["dense_blocks.0.final_conv_layer.0.bias"] == (64,)
    assert shapes["final_convolution.0.weight"] == (12, 64, 3, 3)
    other = discriminator["discriminator_state_dict"]
    assert len(other) == 92
    assert tuple(other["initial_convolution.0.weight"].shape) == (64, 82, 3, 3)
    assert [part_of(content) for content in (generator, discriminator, state)] == ["generator", "discriminator", None]
    assert len(set(names(Generator(2, 15)).values())) == 94


@pytest.mark.parametrize("prefix", ["", "module."])
def test_both_files_fill_the_stage_and_bring_their_kernels(tmp_path, prefix):
    technique = make()
    assert technique.stage(2).space == KernelSpace.standard(2)
    assert "published BlindSR" in technique.load_weights(write(tmp_path, prefix)[::-1])
    stage = technique.stage(2)
    assert stage.space == KernelSpace.published()
    torch.manual_seed(7)
    for own, network in (
        (stage.generator, Generator(2, 15, Sizes(**SMALL))),
        (stage.discriminator, Discriminator(2, Sizes(**SMALL))),
    ):
        state = network.state_dict()
        assert own.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[key]) for key, value in own.state_dict().items())
    assert (int(stage.generator_steps), int(stage.discriminator_steps)) == (1, 1)
    assert technique.super_resolve(torch.rand(1, 3, 16, 16)).shape == (1, 3, 128, 128)


def test_generator_alone_is_for_training_a_discriminator(tmp_path):
    technique = make()
    technique.load_weights(write(tmp_path)[:1])
    stage = technique.stage(2)
    assert (int(stage.generator_steps), int(stage.discriminator_steps)) == (1, 0)


def test_kernels_travel_with_the_weights(tmp_path):
    technique = make()
    technique.load_weights(write(tmp_path))
    checkpoint = {"state_dict": technique.state_dict(), "global_step": 3}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    other = make()
    assert "3 steps" in other.load_weights([tmp_path / "last.ckpt"])
    assert other.stage(2).space == KernelSpace.published()
    assert torch.equal(other.stage(2).generator.encoder.weight, technique.stage(2).generator.encoder.weight)
    resumed = make()
    resumed.on_load_checkpoint(checkpoint)
    resumed.load_state_dict(checkpoint["state_dict"])
    assert resumed.stage(2).space == KernelSpace.published()


def refused(technique: BlindSR, *paths: Path) -> str:
    before = {name: value.clone() for name, value in technique.state_dict().items()}
    spaces = [stage.space for stage in technique.all_stages()]
    with pytest.raises(WrongWeightsError) as caught:
        technique.load_weights(list(paths))
    for name, value in technique.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} changed although the file was refused"
    assert [stage.space for stage in technique.all_stages()] == spaces
    return str(caught.value)


def test_wrong_files_are_refused_with_what_was_expected_and_found(tmp_path):
    generator, discriminator = write(tmp_path)
    assert "are for x2, but technique.stages is [4]" in refused(make(stages=(4,)), generator)
    wide = write(tmp_path / "wide", features=9)
    message = refused(make(), generator, wide[1])
    assert "initial_convolution.0.weight is (9, 16, 3, 3) instead of (8, 15, 3, 3)" in message
    deep = write(tmp_path / "deep", layers=3)
    assert "unknown: dense_blocks.0.conv_layers.2.0.bias" in refused(make(), deep[0])
    copy = tmp_path / "again.pth"
    copy.write_bytes(generator.read_bytes())
    assert "give one" in refused(make(), generator, discriminator, copy)
    torch.save({"state_dict": make().state_dict()}, tmp_path / "last.ckpt")
    assert "cannot be mixed" in refused(make(), generator, tmp_path / "last.ckpt")
    content = torch.load(generator)
    content["generator_state_dict"]["kernel_linear_mapping.weight"] = torch.zeros(4, 441)
    torch.save(content, tmp_path / "large.pth")
    assert "(4, 441) instead of (4, 225)" in refused(make(), tmp_path / "large.pth")
    del content["generator_state_dict"]["final_convolution.0.bias"]
    torch.save(content, tmp_path / "less.pth")
    assert "missing: final_convolution.0.bias" in refused(make(), tmp_path / "less.pth")


def test_checkpoints_that_do_not_fit_change_nothing(tmp_path):
    other = make(official_quirks=True, features=9)
    torch.save({"state_dict": other.state_dict()}, tmp_path / "last.ckpt")
    assert "of another shape" in refused(make(), tmp_path / "last.ckpt")
    state = make().state_dict()
    state["stage_networks.x2.space_numbers"] = torch.tensor([14.0, 0.4, 4.0, 1.0])
    torch.save({"state_dict": state}, tmp_path / "odd.ckpt")
    assert "kernel of 14 pixels" in refused(make(), tmp_path / "odd.ckpt")
    (tmp_path / "code.pt").write_bytes(pickle.dumps(Path("x")))
    assert "refused" in refused(make(), tmp_path / "code.pt")
