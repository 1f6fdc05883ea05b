"""Generation, published weights and the perceptual loss of FastGAN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lpips
import pytest
import torch
from torch import nn

from octosr.errors import ConfigError, MissingWeightsError, WrongWeightsError
from octosr.techniques.fastgan.discriminator import Discriminator
from octosr.techniques.fastgan.generator import Generator
from octosr.techniques.fastgan.module import FastGAN
from octosr.techniques.fastgan.official import discriminator_layout, generator_layout
from octosr.techniques.fastgan.reconstruction import load_perceptual
from octosr.techniques.fastgan.sampling import sampling_copy


def tiny(**changes: Any) -> FastGAN:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"resolution": 32, "width": 4, "latent": 8, "sampling_latents": 40, "reconstruction": "l1"}
    technique = FastGAN(**(sizes | changes))
    with torch.no_grad():
        for name, parameter in technique.generator_ema.named_parameters():
            if "strength" in name:
                parameter.fill_(0.5)
    return technique


@pytest.mark.parametrize("sampling", ["ema", "batch"])
def test_a_seed_is_an_image_whatever_is_beside_it(sampling: str) -> None:
    technique = tiny(sampling_bn=sampling)
    seeds = torch.tensor([0, 3, 17, 40])
    images = technique.generate(seeds)
    assert images.shape == (4, 3, 32, 32)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    for seed, image in zip(seeds.split(1), images, strict=True):
        assert torch.allclose(technique(seed)[0], image, atol=1e-6)
    again = tiny(sampling_bn=sampling)
    again.generate(torch.tensor([99]))
    assert torch.equal(again.generate(seeds), images)
    assert not torch.allclose(images[0], images[1], atol=1e-2)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        assert torch.equal(technique.generate(seeds), images)


def test_normalisation_shared_by_processes_is_sampled_by_one_alone() -> None:
    plain = tiny().generator_ema
    shared = nn.SyncBatchNorm.convert_sync_batchnorm(tiny().generator_ema)
    assert any(isinstance(module, nn.SyncBatchNorm) for module in shared.modules())
    expected, found = sampling_copy(plain, 32).state_dict(), sampling_copy(shared, 32).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert not torch.equal(expected["start_norm.running_var"], plain.state_dict()["start_norm.running_var"])


def test_the_noise_of_an_image_belongs_to_its_seed() -> None:
    technique = tiny()
    before = technique.generate(torch.tensor([5]))
    with torch.no_grad():
        for name, parameter in technique.generator_ema.named_parameters():
            if "strength" in name:
                parameter.zero_()
    technique.load_state_dict(technique.state_dict())
    assert not torch.allclose(technique.generate(torch.tensor([5])), before, atol=1e-3)


def test_statistics_are_those_of_the_averaged_weights() -> None:
    """The mean over batches of the first layer's output, by hand; the averaged generator itself is left alone."""
    technique = tiny()
    average = technique.generator_ema
    before = {key: value.clone() for key, value in average.state_dict().items()}
    seen: list[torch.Tensor] = []
    hook = nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0]) if getattr(module, "mark", False) else None
    )
    average.start_norm.mark = True  # type: ignore[assignment]
    network = sampling_copy(average, 40)
    hook.remove()
    assert [len(x) for x in seen] == [16, 16, 8]
    mean = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0)
    assert torch.allclose(network.start_norm.running_mean, mean, atol=1e-6)
    assert torch.allclose(network.start_norm.running_var, variance, rtol=1e-5)
    assert not network.training
    assert all(torch.equal(value, before[key]) for key, value in average.state_dict().items())


def test_other_weights_are_other_images() -> None:
    technique = tiny()
    before = technique.generate(torch.tensor([1]))
    state = technique.state_dict()
    technique.load_state_dict({key: value * 1.5 if "to_big.weight" in key or "norm.bias" in key else value + 0
                               for key, value in state.items()} | {
        key: torch.randn_like(value) for key, value in state.items() if key.endswith("norm.bias")})  # fmt: skip
    assert not torch.allclose(technique.generate(torch.tensor([1])), before, atol=1e-3)


def published(technique: FastGAN) -> dict[str, Any]:
    generator, discriminator = Generator(256, 4, 8), Discriminator(256, 4)
    return {"g": {f"module.{name}": value.detach().clone() for name, value in generator_layout(generator)},
            "d": {name: value.detach().clone() for name, value in discriminator_layout(discriminator)}}  # fmt: skip


def test_published_checkpoints_are_loaded(tmp_path: Path) -> None:
    technique = tiny(resolution=256)
    content = published(technique)
    torch.save(content, tmp_path / "50000.pth")
    assert "published weights" in technique.load_weights([tmp_path / "50000.pth"])
    key = "module.feat_32.5.weight_orig"
    assert torch.equal(technique.generator.up["32"].conv2.weight, content["g"][key])
    assert torch.equal(technique.generator_ema.up["32"].conv2.weight, content["g"][key])
    assert torch.equal(technique.discriminator.gates["3"].conv.u, content["d"]["se_4_32.main.1.weight_u"])
    averaged = [torch.full_like(v, 0.25) for v in technique.generator.parameters()]
    names = [name for name, value in generator_layout(technique.generator) if isinstance(value, nn.Parameter)]
    shapes = dict(generator_layout(technique.generator))
    content["g_ema"] = [torch.full_like(shapes[name].detach(), 0.25) for name in names]
    assert len(names) == len(averaged)
    torch.save(content, tmp_path / "all_50000.pth")
    technique.load_weights([tmp_path / "all_50000.pth"])
    assert torch.equal(technique.generator.up["32"].conv2.weight, content["g"][key])
    assert bool((technique.generator_ema.up["32"].conv2.weight == 0.25).all())


def test_published_checkpoints_of_another_size_are_refused(tmp_path: Path) -> None:
    content = published(tiny(resolution=256))
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WrongWeightsError, match="resolution is 32"):
        tiny().load_weights([tmp_path / "a.pth"])
    other = tiny(resolution=512)
    with pytest.raises(WrongWeightsError, match="feat_512"):
        other.load_weights([tmp_path / "a.pth"])
    torch.save(content | {"g_ema": [torch.zeros(1)]}, tmp_path / "b.pth")
    with pytest.raises(WrongWeightsError, match="g_ema holds 1"):
        tiny(resolution=256).load_weights([tmp_path / "b.pth"])


def test_the_perceptual_loss_is_lpips(tmp_path: Path) -> None:
    """Against the lpips package, with the same random backbone: values and gradients."""
    torch.manual_seed(0)
    theirs = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    backbone = {}
    for key, value in theirs.net.state_dict().items():
        backbone[f"features.{key.split('.', 1)[1]}"] = value * 3 if key.endswith("weight") else value
    torch.save(backbone, tmp_path / "vgg.pth")
    theirs.net.load_state_dict({key: backbone[f"features.{key.split('.', 1)[1]}"] for key in theirs.net.state_dict()})
    ours = load_perceptual(tmp_path / "vgg.pth").double()
    theirs = theirs.double()
    made = tuple(torch.rand(2, 3, 32, 32, dtype=torch.float64, requires_grad=True) for _ in range(3))
    whole, part = torch.rand(2, 2, 3, 32, 32, dtype=torch.float64)
    found = ours(made, (whole, part))
    expected = sum(theirs(a, b).flatten() for a, b in zip(made, (whole, whole, part), strict=True))
    assert float(expected.detach().min()) > 1e-4
    assert torch.allclose(found, expected, rtol=1e-6)
    for one, two in zip(torch.autograd.grad(found.sum(), made), torch.autograd.grad(expected.sum(), made), strict=True):
        assert torch.allclose(one, two, rtol=1e-5, atol=1e-9 * float(two.abs().max()) + 1e-12)


def test_a_missing_backbone_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    technique = tiny(reconstruction="lpips")
    for words in ("vgg16-397923af.pth", str(tmp_path / "checkpoints"), "technique.vgg_weights=PATH",
                  "technique.reconstruction=l1", "https://"):  # fmt: skip
        with pytest.raises(MissingWeightsError) as caught:
            technique.setup("fit")
        assert words in str(caught.value)
    technique.setup("predict")  # evaluation does not need it
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(MissingWeightsError, match="cannot be read as weights"):
        tiny(reconstruction="lpips", vgg_weights=str(tmp_path / "bad.pth")).setup("fit")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution": 48}, "technique.resolution must be one of"),
        ({"width": 0}, "width and latent"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"sampling_latents": 1}, "sampling_latents"),
        ({"reconstruction": "mse"}, "lpips, l1"),
        ({"sampling_bn": "train"}, "ema, batch"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny(**changes)
