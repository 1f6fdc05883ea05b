"""Networks of other projects, from weight files made here: they run as spandrel itself runs them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from spandrel import MAIN_REGISTRY, ImageModelDescriptor, ModelLoader
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.SwinIR import SwinIR
from torch import Tensor, nn

from octosr.errors import WrongWeightsError
from octosr.techniques.fixed_network import FixedScaleNetwork
from octosr.techniques.spandrel import Spandrel


def rrdbnet(scale: int, channels: int = 3) -> nn.Module:
    torch.manual_seed(scale)
    return ESRGAN(in_nc=channels, out_nc=channels, num_filters=8, num_blocks=1, scale=scale)


def swinir(scale: int) -> nn.Module:
    torch.manual_seed(scale)
    return SwinIR(
        img_size=16,
        embed_dim=12,
        depths=[2],
        num_heads=[2],
        window_size=8,
        upscale=scale,
        upsampler="pixelshuffle",
    )


def saved(model: nn.Module, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(model.state_dict(), path)
    else:
        torch.save({"params_ema": model.state_dict()}, path)
    return path


def loaded(path: Path, scale: int = 8) -> tuple[Spandrel, FixedScaleNetwork]:
    technique = Spandrel("spandrel", scale)
    technique.load_weights([path])
    assert technique.network is not None
    return technique, technique.network


def images(count: int, height: int, width: int) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(height))


@pytest.mark.parametrize(
    ("make", "scale", "suffix"), [(rrdbnet, 4, ".pth"), (rrdbnet, 2, ".safetensors"), (swinir, 4, ".safetensors")]
)
def test_one_pass_is_what_spandrel_does(tmp_path: Path, make: object, scale: int, suffix: str) -> None:
    path = saved(make(scale), tmp_path / f"net{suffix}")  # type: ignore[operator]
    theirs = ModelLoader().load_from_file(path)
    assert isinstance(theirs, ImageModelDescriptor)
    technique, network = loaded(path, scale)
    lr = images(2, 17, 20)
    sr = technique.super_resolve(lr)
    assert sr.shape == (2, 3, 17 * scale, 20 * scale)
    assert not sr.is_inference()
    torch.testing.assert_close(sr, torch.cat([theirs.eval()(image[None]) for image in lr]), rtol=0, atol=1e-6)
    assert network.facts["architecture"] == ("ESRGAN" if make is rrdbnet else "SwinIR")


@pytest.mark.parametrize("make", [rrdbnet, swinir])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (16, 9)])
def test_small_images_reach_the_scale(tmp_path: Path, make: object, height: int, width: int) -> None:
    technique, _ = loaded(saved(make(4), tmp_path / "net.pth"))  # type: ignore[operator]
    sr = technique.super_resolve(images(1, height, width))
    assert sr.shape == (1, 3, 8 * height, 8 * width)
    assert sr.isfinite().all()


def test_x2_three_times(tmp_path: Path) -> None:
    model = rrdbnet(2).eval()
    technique, _ = loaded(saved(model, tmp_path / "net.pth"))
    expected = images(1, 6, 5)
    with torch.no_grad():
        for _ in range(3):
            expected = model(expected).clamp(0, 1)
    torch.testing.assert_close(technique.super_resolve(images(1, 6, 5)), expected, rtol=0, atol=1e-6)


def test_a_grey_network_gets_the_luma_and_leaves_the_colour(tmp_path: Path) -> None:
    model = rrdbnet(2, channels=1).eval()
    technique, _ = loaded(saved(model, tmp_path / "net.pth"), 2)
    lr = images(1, 8, 8)
    sr = technique.super_resolve(lr)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    with torch.no_grad():
        luma = model((lr * weights).sum(1, keepdim=True)).clamp(0, 1)
    torch.testing.assert_close((sr * weights).sum(1, keepdim=True), luma, rtol=0, atol=1e-5)
    grey = technique.super_resolve(lr[:, :1].expand(-1, 3, -1, -1))
    torch.testing.assert_close(grey, grey[:, :1].expand(-1, 3, -1, -1), rtol=0, atol=1e-5)


def test_a_network_with_alpha_gets_an_opaque_one(tmp_path: Path) -> None:
    model = rrdbnet(2, channels=4).eval()
    technique, _ = loaded(saved(model, tmp_path / "net.pth"), 2)
    lr = images(1, 8, 8)
    with torch.no_grad():
        expected = model(torch.cat((lr, torch.ones(1, 1, 8, 8)), 1))[:, :3].clamp(0, 1)
    torch.testing.assert_close(technique.super_resolve(lr), expected)


def test_random_numbers_of_a_network_are_the_same_for_every_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    technique, network = loaded(saved(rrdbnet(2), tmp_path / "net.pth"), 2)
    call = network.descriptor._call_fn
    monkeypatch.setattr(
        network.descriptor, "_call_fn", lambda model, x: call(model, x) + torch.rand_like(x)[:, :, :1, :1]
    )
    lr = images(2, 8, 8)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    both = technique.super_resolve(lr)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(both[1:], technique.super_resolve(lr[1:]))


def test_half_precision_follows_what_spandrel_says(tmp_path: Path) -> None:
    _, network = loaded(saved(rrdbnet(4), tmp_path / "rrdb.pth"))
    assert network.half_precisions == {torch.float16, torch.bfloat16}
    _, network = loaded(saved(swinir(4), tmp_path / "swinir.pth"))
    assert network.half_precisions == {torch.bfloat16}


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1 / 0",)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"params": rrdbnet(4).state_dict(), "extra": Malicious()}, tmp_path / "evil.pth")
    torch.jit.script(nn.Conv2d(3, 3, 1)).save(tmp_path / "script.pt")  # type: ignore[no-untyped-call]
    for name in ("evil.pth", "script.pt"):
        with pytest.raises(WrongWeightsError, match=f"{name} cannot be read as weights"):
            Spandrel("spandrel").load_weights([tmp_path / name])


def refusal(path: Path) -> str:
    with pytest.raises(WrongWeightsError) as caught:
        Spandrel("spandrel").load_weights([path])
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_used_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no network that spandrel knows (it begins with bias, weight)" in refusal(
        saved(nn.Conv2d(3, 3, 3), tmp_path / "conv.safetensors")
    )
    assert "ESRGAN, which restores images at their own size" in refusal(saved(rrdbnet(1), tmp_path / "x1.pth"))
    state = rrdbnet(4).state_dict()
    state["model.0.bias"] = torch.zeros(5)
    torch.save(state, tmp_path / "damaged.pth")
    assert "is damaged" in refusal(tmp_path / "damaged.pth")
    state = {**rrdbnet(4).state_dict(), "model.0.weight": torch.zeros(8, 5, 3, 3)}
    torch.save(state, tmp_path / "five.pth")
    assert "from 5 channels to 3; RGB, grey or RGBA are run" in refusal(tmp_path / "five.pth")
    path = saved(rrdbnet(4), tmp_path / "face.pth")
    face = SimpleNamespace(purpose="FaceSR", architecture=SimpleNamespace(name="GFPGAN"))
    monkeypatch.setattr(MAIN_REGISTRY, "load", lambda state: face)
    assert "is a GFPGAN, which restores faces that were cut out and aligned: it is no" in refusal(path)
    with pytest.raises(WrongWeightsError, match="one network, but 2 files"):
        Spandrel("spandrel").load_weights([path, path])


def test_what_is_compiled_is_what_spandrel_calls(tmp_path: Path) -> None:
    technique, network = loaded(saved(rrdbnet(4), tmp_path / "net.pth"))
    (compiled,) = technique.networks()
    assert compiled is network.descriptor.model


def test_a_transformer_is_no_chain_and_its_reach_is_not_known(tmp_path: Path) -> None:
    technique, network = loaded(saved(swinir(4), tmp_path / "swinir.pth"))
    assert (list(network.links()), network.reach) == ([], None)
    tiling = technique.tiling()
    assert tiling is not None
    assert tiling.bound is None
