"""The technique: cascade, training, optimiser, validation of arguments, the life of the PCA basis."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from octosr.degradation.pca import encode
from octosr.degradation.pipeline import Degradation
from octosr.degradation.resize import resize
from octosr.errors import ConfigError
from octosr.techniques.dan.module import DAN

CONF = Path(__file__).parents[3] / "conf"
SIZES = {"features": 16, "blocks": 1, "groups": 1, "estimator_features": 8, "estimator_blocks": 1, "iterations": 2}


def degradation(**changes) -> Degradation:
    settings = {
        "kind": "isotropic",
        "sigma": dict.fromkeys((2, 3, 4, 8), (0.5, 2.0)),
        "kernel_size": {2: 7, 3: 7, 4: 9, 8: 9},
        "seed": 3,
    }
    return Degradation(**(settings | changes))


def make(**changes) -> DAN:
    torch.manual_seed(0)
    components = {2: 4, 3: 4, 4: 5, 8: 5}
    settings = {"name": "dan", "degradation": degradation(), "pca_components": components, "lr_patch": 8, **SIZES}
    return DAN(**(settings | changes))


def batch(side: int = 32, count: int = 2) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {"hr": torch.rand(count, 3, side, side), "sample_id": torch.arange(count)}


@pytest.fixture(scope="module")
def basis_calls():
    """Fitting is real but counted, and on fewer kernels than in training, to save time."""
    calls = []
    original = Degradation.pca_basis

    def counted(self, scale, components, samples=30_000, device="cpu"):
        calls.append((scale, components))
        return original(self, scale, components, 300, device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Degradation, "pca_basis", counted)
        yield calls


@pytest.fixture(autouse=True)
def _fewer_kernels(basis_calls):
    basis_calls.clear()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("stages", [(2, 4), (8,), (3,)])
def test_super_resolves_any_size_and_batch(version, stages):
    dan = make(version=version, stages=stages)
    dan.setup("predict")
    for shape in ((1, 3, 2, 2), (3, 3, 7, 4), (2, 3, 5, 9)):
        lr = torch.rand(shape)
        with torch.no_grad():
            sr = dan.super_resolve(lr)
        assert sr.shape == (*shape[:2], shape[2] * dan.scale, shape[3] * dan.scale)
        assert sr.dtype == torch.float32


def test_estimate_reports_every_stage_and_its_codes_reproduce_the_image():
    for version in (1, 2):
        dan = make(version=version)
        dan.setup("predict")
        lr = torch.rand(2, 3, 6, 5)
        with torch.no_grad():
            first, second = dan.estimate(lr)
            again = dan.super_resolve(lr, codes=[first.code, second.code])
        assert (first.scale, second.scale) == (2, 4)
        assert first.kernel.shape == (2, 7, 7)
        assert second.kernel.shape == (2, 9, 9)
        assert first.code.shape == (2, 4)
        assert torch.equal(again, second.sr)
        torch.testing.assert_close(encode(first.kernel, dan.network(2).pca_basis), first.code, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("version", [1, 2])
def test_loss_is_the_sum_over_stages_of_l1_of_image_and_kernel(version):
    dan = make(version=version)
    dan.setup("fit")
    data = batch(side=37)
    expected = torch.zeros(())
    for scale, side in ((2, 16), (4, 32)):
        start = (37 - side) // 2
        hr = data["hr"][..., start : start + side, start : start + side]
        lr, kernel = dan.degradation(hr, scale, data["sample_id"])
        estimate = dan.network(scale)(lr)
        expected = expected + F.l1_loss(estimate.sr, hr)
        if version == 1:
            expected = expected + F.l1_loss(estimate.code, kernel.flatten(1) @ dan.network(scale).pca_basis)
        else:
            expected = expected + F.l1_loss(estimate.kernel, kernel.flatten(1))
    torch.testing.assert_close(dan.training_step(data), expected)


def test_two_stages_together_are_trained_as_each_alone():
    both = make()
    both.setup("fit")
    alone = {scale: make(stages=(scale,)) for scale in (2, 4)}
    for scale, dan in alone.items():
        dan.stage_networks[f"x{scale}"] = copy.deepcopy(both.network(scale))
    for dan in (both, *alone.values()):
        optimizer = dan.configure_optimizers()["optimizer"]
        for _ in range(3):
            optimizer.zero_grad()
            dan.training_step(batch()).backward()
            optimizer.step()
    for scale, dan in alone.items():
        for name, value in dan.network(scale).state_dict().items():
            torch.testing.assert_close(both.network(scale).state_dict()[name], value, msg=name)


def test_small_crops_are_used_whole_and_cut_to_a_multiple_of_the_scale():
    seen = {}
    dan = make(stages=(2, 3))
    dan.setup("fit")
    for scale in (2, 3):
        dan.network(scale).register_forward_pre_hook(
            lambda _, arguments, scale=scale: seen.update({scale: tuple(arguments[0].shape[-2:])})
        )
    dan.training_step(batch(side=14))
    assert seen == {2: (7, 7), 3: (4, 4)}


def test_optimizer_and_schedule():
    dan = make(learning_rate=1e-3, estimator_learning_rate=5e-4, milestones=[2, 4], gamma=0.1)
    configured = dan.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    assert configured["lr_scheduler"]["interval"] == "step"
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in dan.parameters()}
    assert [group["betas"] for group in optimizer.param_groups] == [(0.9, 0.99)] * 2
    rates = []
    for _ in range(5):
        rates.append(tuple(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        scheduler.step()
    assert torch.tensor(rates).flatten().tolist() == pytest.approx([1e-3, 5e-4] * 2 + [1e-4, 5e-5] * 2 + [1e-5, 5e-6])


def test_basis_is_fitted_once_travels_in_the_checkpoint_and_starts_from_the_dirac(basis_calls):
    dan = make()
    assert not dan.network(2).pca_fitted
    dan.setup("fit")
    dan.setup("validate")
    assert basis_calls == [(2, 4), (4, 5)]
    dirac = torch.zeros(1, 7, 7)
    dirac[0, 3, 3] = 1
    torch.testing.assert_close(dan.network(2).initial_code, encode(dirac, dan.network(2).pca_basis)[0])

    other = make(degradation=degradation(sigma={2: (0.2, 4.0), 4: (0.2, 4.0)}))
    other.load_state_dict(dan.state_dict())
    other.setup("fit")
    assert len(basis_calls) == 2
    assert torch.equal(other.network(4).pca_basis, dan.network(4).pca_basis)


class Fixed(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return {"hr": torch.rand(3, 16, 16, generator=generator), "sample_id": torch.tensor(index)}


def fit(dan: DAN, folder: Path, steps: int, checkpoint: Path | None = None) -> pl.Trainer:
    trainer = pl.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=folder, limit_val_batches=1,
    )  # fmt: skip
    loader = DataLoader(Fixed(), batch_size=2)
    trainer.fit(dan, loader, DataLoader(Fixed(), batch_size=2), ckpt_path=checkpoint, weights_only=True)
    return trainer


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*`ckpt_path`.*")
def test_training_resumed_from_a_checkpoint_equals_uninterrupted_training(tmp_path):
    whole = make(stages=(2,))
    trainer = fit(whole, tmp_path, 8)
    assert {"train/loss", "train/loss_sr_x2", "train/loss_kernel_x2", "val/psnr"} <= trainer.callback_metrics.keys()
    half = make(stages=(2,))
    fit(half, tmp_path, 4).save_checkpoint(tmp_path / "half.ckpt")
    resumed = make(stages=(2,), features=16)
    fit(resumed, tmp_path, 8, tmp_path / "half.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.mark.parametrize("version", [1, 2])
def test_learns(version):
    dan = make(version=version, stages=(2,), features=16, learning_rate=2e-3, bicubic_skip=True, group_doubling=False)
    dan.setup("fit")
    optimizer = dan.configure_optimizers()["optimizer"]
    ramp = torch.linspace(0, 1, 16)
    data = {"hr": (ramp[:, None] * ramp).expand(2, 3, 16, 16).contiguous(), "sample_id": torch.arange(2)}
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = dan.training_step(data)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_untrained_with_bicubic_skip_is_bicubic():
    dan = make(stages=(8,), bicubic_skip=True)
    lr = torch.rand(1, 3, 8, 6)
    with torch.no_grad():
        torch.testing.assert_close(dan.super_resolve(lr), resize(lr, (64, 48)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, "technique.version"),
        ({"stages": ()}, "technique.stages"),
        ({"stages": (2, 2)}, "technique.stages"),
        ({"stages": (5,)}, "technique.stages"),
        ({"features": 0}, "technique.features"),
        ({"blocks": 0}, "technique.blocks"),
        ({"iterations": 0}, "technique.iterations"),
        ({"lr_patch": -1}, "technique.lr_patch"),
        ({"learning_rate": 0.0}, "technique.learning_rate"),
        ({"estimator_learning_rate": -1.0}, "technique.estimator_learning_rate"),
        ({"betas": (0.9, 1.0)}, "technique.betas"),
        ({"pca_components": {2: 4}}, "technique.pca_components has no entry for x4"),
        ({"pca_components": {2: 50, 4: 5}}, "technique.pca_components.2"),
        ({"degradation": degradation(kernel_size={2: 7})}, "degradation.kernel_size"),
    ],
)
def test_wrong_arguments_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        make(**changes)


def test_patch_follows_the_largest_stage_unless_given():
    assert make().hr_patch == 32
    assert make(stages=(8,)).hr_patch == 64
    assert make(hr_patch=20).hr_patch == 20


@pytest.mark.parametrize("version", [1, 2])
def test_shipped_configuration_builds_the_published_networks(version):
    cfg = OmegaConf.create({"seed": 0, "degradation": OmegaConf.load(CONF / "degradation" / "setting2.yaml")})
    cfg.technique = OmegaConf.load(CONF / "technique" / "dan.yaml")
    cfg.technique.version = version
    with torch.device("meta"):
        dan = instantiate(cfg.technique, degradation=instantiate(cfg.degradation))
    counts = {s: sum(p.numel() for p in dan.network(s).parameters()) for s in dan.stages}
    assert counts[2] == {1: 4_181_799, 2: 4_519_228}[version]
    if version == 2:
        assert counts[4] == 4_741_828
    assert dan.stages == (2, 4)
    assert dan.hr_patch == 256
    assert [type(m).__name__ for m in dan.networks()] == ["DANNetwork"] * 2
