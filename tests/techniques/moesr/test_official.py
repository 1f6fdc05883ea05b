"""Loading the published layout: what is recognised, what is refused, and what the refusal says."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from octosr.errors import WrongWeightsError
from octosr.techniques.moesr.bank import ExpertBank
from octosr.techniques.moesr.kernel_estimator import KernelEstimator
from octosr.techniques.moesr.official import network_to_official, part_of, scale_of_experts, to_official
from octosr.techniques.moesr.sharpness import SharpnessEvaluator


def write(folder: Path, scale: int, prefix: str = "", **sizes) -> dict[str, Path]:
    """The three files of a scale with random weights."""
    folder.mkdir()
    torch.manual_seed(scale)
    contents = {
        "SR_networks_ensemble.pt": to_official(ExpertBank(scale, **({"features": 4, "layers": 3} | sizes))),
        "ISE.pt": network_to_official(SharpnessEvaluator(3)),
        "KEN.pt": network_to_official(KernelEstimator(scale, "angle")),
    }
    for name, content in contents.items():
        if not name.startswith("SR"):
            content = {prefix + key: value for key, value in content.items()}
        torch.save(content, folder / name)
    return {name: folder / name for name in contents}


def test_layout_of_the_published_sizes():
    """Names and shapes as the public implementation has them."""
    experts = to_official(ExpertBank(4))
    assert len(experts) == 25
    assert [len(levels) for levels in experts.values()] == [2] * 25
    state = experts["U_16.15_7.35_0.59"][1]
    assert sorted(state) == sorted(f"model.{n}.{k}" for n in range(0, 24, 2) for k in ("weight", "bias"))
    assert state["model.0.weight"].shape == (64, 3, 3, 3)
    assert state["model.22.weight"].shape == (3, 64, 3, 3)
    ise = network_to_official(SharpnessEvaluator())
    assert {key: tuple(value.shape) for key, value in ise.items() if "weight" in key} == {
        "model.0.weight": (64, 6, 3, 3),
        "model.2.weight": (64, 64, 3, 3),
        "model.4.weight": (128, 64, 3, 3),
        "model.6.weight": (256, 128, 3, 3),
        "model.8.weight": (512, 256, 3, 3),
        "model.9.weight": (1, 512, 3, 3),
    }
    ken = network_to_official(KernelEstimator(2))
    assert {key: tuple(value.shape) for key, value in ken.items() if "weight" in key} == {
        "layers.0.weight": (50, 85),
        "layers.2.weight": (50, 50),
        "layers.4.weight": (3, 50),
    }
    assert [part_of(content) for content in (experts, ise, ken, state)] == ["experts", "ise", "ken", None]
    assert scale_of_experts(experts, Path("file.pt")) == 4


@pytest.mark.parametrize("prefix", ["", "module."])
def test_six_files_in_any_order_fill_two_stages(make_moesr, tmp_path, prefix):
    technique = make_moesr(stages=(2, 4))
    files = [*write(tmp_path / "x4", 4, prefix).values(), *write(tmp_path / "x2", 2, prefix).values()]
    line = technique.load_weights(files)
    assert "published MoESR" in line
    for scale in (2, 4):
        torch.manual_seed(scale)
        bank, evaluator = ExpertBank(scale, features=4, layers=3), SharpnessEvaluator(3)
        stage = technique.stage(scale)
        assert all(torch.equal(a, b) for a, b in zip(stage.bank.parameters(), bank.parameters(), strict=True))
        assert torch.equal(stage.evaluator.convs[5].weight, evaluator.convs[5].weight)
        assert stage.estimator.code == "angle"
        assert (int(stage.expert_steps.min()), int(stage.ise_steps), int(stage.ken_steps)) == (1, 1, 1)


def test_code_of_the_kernel_travels_with_the_weights(make_moesr, tmp_path):
    technique = make_moesr()
    technique.load_weights(list(write(tmp_path / "x2", 2).values()))
    torch.save({"state_dict": technique.state_dict(), "global_step": 3}, tmp_path / "last.ckpt")
    other = make_moesr()
    assert other.stage(2).estimator.code == "matrix"
    assert "3 steps" in other.load_weights([tmp_path / "last.ckpt"])
    assert other.stage(2).estimator.code == "angle"


def refused(technique, *paths: Path) -> str:
    before = {name: value.clone() for name, value in technique.state_dict().items()}
    with pytest.raises(WrongWeightsError) as caught:
        technique.load_weights(list(paths))
    for name, value in technique.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} changed although the file was refused"
    return str(caught.value)


def test_wrong_files_are_refused_with_what_was_expected_and_found(make_moesr, tmp_path):
    x2, x4 = write(tmp_path / "x2", 2), write(tmp_path / "x4", 4)
    one = make_moesr()
    assert "is for x4, but technique.stages is [2]" in refused(one, x2["ISE.pt"], x4["SR_networks_ensemble.pt"])
    wide = write(tmp_path / "wide", 2, features=5)
    message = refused(one, x2["ISE.pt"], wide["SR_networks_ensemble.pt"])
    assert "U_0.85_0.85_0.00, level 1, model.0.weight is (5, 3, 3, 3) instead of (4, 3, 3, 3)" in message
    deep = write(tmp_path / "deep", 2, layers=4)
    assert "unknown: model.6.bias" in refused(one, deep["SR_networks_ensemble.pt"])
    both = make_moesr(stages=(2, 4))
    assert "ISE of an unknown scale" in refused(both, *x2.values(), x4["ISE.pt"])
    copy = tmp_path / "x2" / "again.pt"
    copy.write_bytes(x2["KEN.pt"].read_bytes())
    assert "give one" in refused(one, *x2.values(), copy)
    torch.save({"state_dict": one.state_dict()}, tmp_path / "last.ckpt")
    assert "cannot be mixed" in refused(one, *x2.values(), tmp_path / "last.ckpt")


def test_incomplete_damaged_and_dangerous_files_are_refused(make_moesr, tmp_path):
    technique, files = make_moesr(), write(tmp_path / "x2", 2)
    experts = torch.load(files["SR_networks_ensemble.pt"])

    def save(content) -> Path:
        torch.save(content, tmp_path / "broken.pt")
        return tmp_path / "broken.pt"

    some = {key: value for key, value in experts.items() if key != "U_0.85_0.85_0.00"}
    assert "holds 24 experts" in refused(technique, save(some))
    assert "list of 1 networks, but is 2" in refused(technique, save(experts | {"U_0.85_0.85_0.00": [{}, {}]}))
    assert "level 1" in refused(technique, save(experts | {"U_0.85_0.85_0.00": [{}]}))
    assert "level 1" in refused(technique, save(experts | {"U_0.85_0.85_0.00": [3]}))
    (tmp_path / "code.pt").write_bytes(pickle.dumps(Path("x")))
    assert "refused" in refused(technique, tmp_path / "code.pt")
    ken = torch.load(files["KEN.pt"])
    assert "(50, 84) instead of (50, 85)" in refused(
        technique, save(ken | {"layers.0.weight": torch.zeros(50, 84)}), files["ISE.pt"]
    )


def test_experts_of_a_sweep_are_put_together(make_moesr, tmp_path):
    paths = []
    for expert in (3, 20):
        technique = make_moesr()
        stage = technique.stage(2)
        with torch.no_grad():
            for parameter in stage.bank.parameters():
                parameter.fill_(expert)
        stage.expert_steps[expert] = 7
        torch.save({"state_dict": technique.state_dict()}, tmp_path / f"{expert}.ckpt")
        paths.append(tmp_path / f"{expert}.ckpt")
    technique = make_moesr()
    assert "2 checkpoints" in technique.load_weights(paths)
    stage = technique.stage(2)
    assert stage.expert_steps.nonzero().flatten().tolist() == [3, 20]
    weight = stage.bank.weights[0]
    assert (weight[20] == 20).all()
    assert (weight[3] == 3).all()
    torch.save({"state_dict": make_moesr(features=5).state_dict()}, tmp_path / "other.ckpt")
    assert "does not fit" in refused(technique, paths[0], tmp_path / "other.ckpt")
