"""The data module: what it finds, what it refuses, and batches that do not depend on how a run is cut up."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import nn

from octosr.data import sources
from octosr.data.datamodule import VALIDATION_IDS, ImageDataModule
from octosr.errors import BadImageError, ConfigError, MissingDataError

LR = [(32, 32)] * 12


@pytest.fixture
def root(tmp_path: Path, make_images) -> Path:
    make_images(tmp_path / "data" / "isaid", LR)
    return tmp_path / "data"


def module(root: Path | None, stage: str | None = "fit", dataset: str = "isaid", **settings: Any) -> ImageDataModule:
    data = ImageDataModule(dataset, root, **({"patch": 16, "batch_size": 4, "validation_fraction": 0.2} | settings))
    data.prepare_data()
    data.setup(stage)
    return data


def as_process(data: ImageDataModule, rank: int, world: int, precision: str = "32-true") -> ImageDataModule:
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=rank, world_size=world, num_devices=world, precision=precision
    )
    return data


def steps(data: ImageDataModule, count: int) -> dict[str, torch.Tensor]:
    """The training batches of some steps, as Lightning would make them, put together."""
    loader = data.train_dataloader()
    batches = []
    while len(batches) < count:
        for tick in loader:
            batches.append(data.on_after_batch_transfer(data.on_before_batch_transfer(tick, 0), 0))
            if len(batches) == count:
                break
    return {key: torch.cat([batch[key] for batch in batches]) for key in ("hr", "sample_id")}


def predicted(data: ImageDataModule) -> list[dict[str, Any]]:
    return [data.on_after_batch_transfer(batch, 0) for batch in data.predict_dataloader()]


# ------------------------------------------------------------------------- training


def test_training_batches(root: Path) -> None:
    data = module(root, steps_per_epoch=3)
    assert len(data.train_dataloader()) == len(list(data.train_dataloader())) == 3
    drawn = steps(data, 5)
    assert drawn["hr"].shape == (20, 3, 16, 16)
    assert drawn["hr"].dtype == torch.float32
    assert 0 <= float(drawn["hr"].min()) < float(drawn["hr"].max()) <= 1
    assert drawn["sample_id"].tolist() == list(range(20))
    assert (data.kind, data.domain, data.standin, data.left_out) == ("study", "Satellite", False, [])
    assert data.names == [f"im{n}" for n in range(12)]


def test_two_processes_draw_what_one_draws(root: Path) -> None:
    alone = steps(module(root, batch_size=8), 6)
    parts = [steps(as_process(module(root, batch_size=4), rank, 2), 6) for rank in range(2)]
    order = torch.cat([part["sample_id"] for part in parts]).argsort()
    assert torch.equal(torch.cat([part["sample_id"] for part in parts])[order], alone["sample_id"])
    assert torch.equal(torch.cat([part["hr"] for part in parts])[order], alone["hr"])


def test_a_training_in_64_bits_gets_the_same_images_in_64_bits(root: Path) -> None:
    single, double = (as_process(module(root), 0, 1, precision) for precision in ("32-true", "64-true"))
    plain, fine = steps(single, 2), steps(double, 2)
    assert fine["hr"].dtype == torch.float64
    assert fine["sample_id"].dtype == torch.int64
    assert torch.equal(fine["hr"], plain["hr"].double())
    (batch, *_) = [double.on_after_batch_transfer(batch, 0) for batch in double.val_dataloader()]
    assert batch["hr"].dtype == torch.float64


def test_resuming_goes_on_where_it_stopped(root: Path) -> None:
    whole = steps(module(root), 9)
    first = module(root)
    begun = steps(first, 4)
    second = module(root)
    second.load_state_dict(first.state_dict())
    ended = steps(second, 5)
    for key in whole:
        assert torch.equal(torch.cat([begun[key], ended[key]]), whole[key])
    assert second.samples_done == 36


def test_large_sets_stay_in_main_memory_with_the_same_batches(root: Path) -> None:
    assert torch.equal(steps(module(root, device_cache_mb=0), 2)["hr"], steps(module(root), 2)["hr"])


def test_held_out_images_are_never_trained_on(root: Path) -> None:
    data = module(root, patch=32)
    training = data._training
    assert training is not None
    assert {path.stem for path in training.held_out} | {path.stem for path in training.bank.paths} == set(data.names)
    assert not set(training.held_out) & set(training.bank.paths)
    held = [np.asarray(Image.open(path)).transpose(2, 0, 1) for path in training.held_out]
    crops = torch.cat([batch["hr"] for batch in data.val_dataloader()])
    np.testing.assert_array_equal(crops.numpy(), held)
    drawn = {tuple(np.sort(crop.flatten().numpy())) for crop in (steps(data, 100)["hr"] * 255).round()}
    assert not drawn & {tuple(np.sort(image.flatten()).astype(np.float32)) for image in held}
    assert len(drawn) == len(training.bank)


def test_validation_batches(root: Path) -> None:
    data = module(root, eval_batch_size=2, validation_fraction=0.5)
    batches = [data.on_after_batch_transfer(batch, 0) for batch in data.val_dataloader()]
    ids = torch.cat([batch["sample_id"] for batch in batches]).tolist()
    assert ids == list(range(VALIDATION_IDS, VALIDATION_IDS + len(ids)))
    assert all(len(batch["hr"]) <= 2 for batch in batches)
    assert batches[0]["hr"].dtype == torch.float32
    assert batches[0]["hr"].max() <= 1
    assert data.samples_done == 0
    # Three processes share them, none twice; with more processes than crops every process does all.
    shares = [as_process(data, rank, 3).val_dataloader() for rank in range(3)]
    assert sorted(int(i) for share in shares for batch in share for i in batch["sample_id"]) == ids
    for rank in range(100):
        assert sum(len(batch["hr"]) for batch in as_process(data, rank, 100).val_dataloader()) == len(ids)


def test_crop_sizes_fit_the_smallest_image(tmp_path: Path, make_images, caplog: pytest.LogCaptureFixture) -> None:
    make_images(tmp_path, [(64, 50), (45, 64), (300, 300), (64, 64)])
    caplog.set_level(logging.INFO)
    data = module(None, dataset="folder", path=tmp_path, patch=64)
    assert data.patch == 40
    assert "training crops are 40x40 instead of 64x64: im1.png is only 45 pixels small" in caplog.text
    assert steps(data, 1)["hr"].shape[-2:] == (40, 40)
    assert data.val_dataloader().crops.shape[-1] % 8 == 0
    data = module(None, dataset="folder", path=tmp_path, patch=16, validation_size=24)
    assert data.patch == 16
    assert data.val_dataloader().crops.shape[-2:] == (24, 24)


def test_any_folder_of_hr_images(root: Path, tmp_path: Path, make_images) -> None:
    make_images(tmp_path / "hr" / "a", [(300, 280)] * 4)
    make_images(tmp_path / "hr" / "b", [(290, 410)] * 4)  # the same stems: not a problem for training
    data = module(root, source="hr_root", hr_root=tmp_path / "hr", patch=64)
    assert steps(data, 2)["hr"].shape == (8, 3, 64, 64)
    assert data.val_dataloader().crops.shape[1:] == (3, 256, 256)
    assert data.names == [f"im{n}" for n in range(12)]
    # Training on another folder does not need the dataset itself; super-resolving does.
    data = module(tmp_path / "nowhere", source="hr_root", hr_root=tmp_path / "hr", patch=64)
    assert data.names == []
    with pytest.raises(MissingDataError, match="1 dataset not found: isaid"):
        data.setup("predict")


def test_demo_trains_on_its_crops_and_validates_on_its_pairs(
    tmp_path: Path, make_images, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = tmp_path / "demo-v1"
    train = make_images(demo / "train", [(200, 170)] * 3, "train", 1)
    make_images(demo / "LR", [(128, 128)] * 2, "x")
    make_images(demo / "pairs" / "LR", [(32, 32)] * 5, "p", 2)
    held = make_images(demo / "pairs" / "HR", [(256, 256)] * 5, "p", 3)
    monkeypatch.setattr(sources, "demo_folder", lambda cache: demo)
    monkeypatch.setattr("octosr.data.preparation.demo_folder", lambda cache: demo)
    data = module(None, None, "demo", patch=128)
    assert (data.names, data.references, data.kind, data.domain) == (["x0", "x1"], {}, "demo", "Mixed")
    assert data._training is not None
    assert {path.stem for path in data._training.bank.paths} == set(train)
    np.testing.assert_array_equal(data.val_dataloader().crops.permute(0, 2, 3, 1), list(held.values()))
    assert sum(len(batch["name"]) for batch in predicted(data)) == 2
    pairs = module(None, None, "demo_pairs", max_validation=2)
    assert list(pairs.references) == pairs.names == list(held)
    assert [path.stem for path in pairs._training.held_out] == ["p0", "p2"]  # type: ignore[union-attr]


# ------------------------------------------------------------------- super-resolution


def test_prediction_batches_are_of_one_size(tmp_path: Path, make_images) -> None:
    made = make_images(tmp_path, [(16, 20), (20, 16), (16, 20), (16, 20), (20, 16), (16, 20), (16, 20)])
    Image.fromarray(np.full((16, 20), 40_000, dtype=np.uint16)).save(tmp_path / "im7.png")
    data = module(None, "predict", "folder", path=tmp_path, eval_batch_size=3)
    batches = predicted(data)
    assert [batch["name"] for batch in batches] == [["im0", "im2", "im3"], ["im5", "im6"], ["im1", "im4"], ["im7"]]
    for batch in batches:
        assert batch["lr"].dtype == torch.float32
        assert [data.names[i] for i in batch["index"]] == batch["name"]
        for name, lr in zip(batch["name"], batch["lr"], strict=True):
            if name != "im7":
                np.testing.assert_array_equal(lr.permute(1, 2, 0), made[name].astype(np.float32) / np.float32(255))
    assert batches[-1]["lr"].unique().item() == pytest.approx(40_000 / 65535, abs=1e-7)  # 16 bits kept
    assert (data.kind, data.domain) == ("folder", "Other")


def test_each_image_is_super_resolved_by_one_process(root: Path) -> None:
    data = module(root, "predict")
    for world in (1, 2, 5, 20):
        done = [
            n for rank in range(world) for b in as_process(data, rank, world).predict_dataloader() for n in b["name"]
        ]
        assert sorted(done) == sorted(data.names)
    assert len(as_process(data, 19, 20).predict_dataloader()) == 0
    assert data.allow_zero_length_dataloader_with_multiple_devices  # else Lightning refuses the empty ones


def test_select(root: Path) -> None:
    data = module(root, "predict")
    data.select(["im11", "im3"])
    data.setup("predict")  # Lightning calls it again
    batch = predicted(data)[0]
    assert (batch["name"], batch["index"].tolist()) == (["im3", "im11"], [3, 11])
    data.select([])
    assert len(data.predict_dataloader()) == 0
    data.select(None)
    assert sum(len(batch["name"]) for batch in predicted(data)) == 12
    with pytest.raises(ConfigError, match="nobody"):
        data.select(["im1", "nobody"])


def test_file_hash(root: Path) -> None:
    data = module(root, "predict")
    assert data.file_sha256("im3") == hashlib.sha256((root / "isaid" / "im3.png").read_bytes()).hexdigest()


# ----------------------------------------------------------------------- bad images


def spoil(root: Path) -> None:
    folder = root / "isaid"
    (folder / "im2.png").write_bytes((folder / "im2.png").read_bytes()[:100])
    (folder / "im5.png").write_bytes(b"")
    (folder / "im9.png").write_text("not an image")


@pytest.mark.parametrize("stage", ["fit", "predict", None])
def test_all_bad_images_are_listed_at_once(root: Path, stage: str | None) -> None:
    spoil(root)
    with pytest.raises(BadImageError) as caught:
        module(root, stage)
    assert [Path(file).name for file, _ in caught.value.problems] == ["im2.png", "im5.png", "im9.png"]
    assert "3 image files cannot be used" in str(caught.value)
    assert "im5.png: the file is empty (0 bytes)" in str(caught.value)


@pytest.mark.parametrize("stage", ["fit", "predict", None])
def test_skip(root: Path, stage: str | None, caplog: pytest.LogCaptureFixture) -> None:
    spoil(root)
    data = module(root, stage, on_bad_image="skip")
    assert [Path(file).name for file, _ in data.left_out] == ["im2.png", "im5.png", "im9.png"]
    assert data.names == ["im0", "im1", "im3", "im4", "im6", "im7", "im8", "im10", "im11"]
    assert caplog.text.count("left out: ") == 3
    if stage != "fit":
        assert sum(len(batch["name"]) for batch in predicted(data)) == 9


def test_skip_needs_something_to_be_left(root: Path) -> None:
    for path in (root / "isaid").iterdir():
        path.write_bytes(b"")
    with pytest.raises(BadImageError, match="12 image files"):
        module(root, "predict", on_bad_image="skip")


def test_too_small_to_train_on(root: Path, make_images) -> None:
    make_images(root / "isaid", [(40, 15), (16, 16)], "small")
    with pytest.raises(BadImageError, match=r"small0\.png: the image is 15x40, too small to train on: 16 pixels"):
        module(root)
    data = module(root, on_bad_image="skip")
    assert data._training is not None
    assert "small0.png" not in {path.name for path in (*data._training.bank.paths, *data._training.held_out)}
    assert len(module(root, "predict").names) == 14  # but not too small to be super-resolved


def test_bad_references(root: Path, make_images) -> None:
    make_images(root / "isaid" / "HR", [(256, 256), (256, 250), (256, 256)])
    (root / "isaid" / "HR" / "im2.png").write_bytes(b"junk")
    with pytest.raises(BadImageError) as caught:
        module(root, "predict")
    assert [Path(file).name for file, _ in caught.value.problems] == ["im1.png", "im2.png"]
    assert "the HR reference is 250x256, but 256x256 is 8 times its LR image" in str(caught.value)
    data = module(root, "predict", on_bad_image="skip")
    assert list(data.references) == ["im0"]
    assert len(data.names) == 12


# --------------------------------------------------------------- notes and settings


def test_differences_from_the_study_are_warned_of_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = module(root, None)
    data.setup(None)
    assert caplog.text.count("isaid: 12 images, the study has 100") == 1
    assert caplog.text.count("isaid: 12 of 12 images are not 128x128 (the first: 32x32)") == 1
    caplog.clear()
    (root / "isaid" / "STANDIN.json").write_text("{}")
    data = module(root, None)
    assert (data.kind, data.standin) == ("stand-in", True)
    assert not caplog.records or "the study has" not in caplog.text


def test_missing(tmp_path: Path) -> None:
    for stage in ("fit", "predict"):
        with pytest.raises(MissingDataError, match=r"python prepare\.py dataset=isaid source=standin"):
            module(tmp_path / "none", stage)
    with pytest.raises(ConfigError, match=r"dataset\.path"):
        module(None, "predict", "folder")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "isiad"}, "isiad.*Did you mean 'isaid'"),
        ({"source": "hr"}, r"data\.source.*hr_root"),
        ({"source": "hr_root"}, r"data\.hr_root=FOLDER"),
        ({"hr_root": "x"}, "source=hr_root only"),
        ({"on_bad_image": "ignore"}, "on_bad_image"),
        ({"patch": 100}, "multiple of scale=8"),
        ({"patch": 0}, "multiple of scale=8"),
        ({"validation_size": 100}, r"validation_size.*multiple of scale=8"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"validation_fraction": 0.0}, "between 0 and 1"),
        ({"scale": 0}, "scale must be 1 or more"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ImageDataModule(**({"dataset": "isaid", "root": "data"} | settings))


# ------------------------------------------------------------------ inside Lightning


class Recorder(pl.LightningModule):
    """Trains one number and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.trained: list[tuple[int, float]] = []
        self.validated: set[int] = set()
        self.predicted: list[str] = []

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        self.trained += zip(batch["sample_id"].tolist(), batch["hr"].mean((1, 2, 3)).tolist(), strict=True)
        return (self.weight - batch["hr"].mean()).square()

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        self.validated |= set(batch["sample_id"].tolist())

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.predicted += batch["name"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path: Path, max_steps: int) -> pl.Trainer:
    checkpoint = pl.callbacks.ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=3, save_top_k=-1)
    return pl.Trainer(
        accelerator="cpu", devices=1, max_steps=max_steps, logger=False, callbacks=[checkpoint],
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip


def test_lightning_resumes_in_the_middle_of_an_epoch(root: Path, tmp_path: Path, recwarn: Any) -> None:
    whole = Recorder()
    uninterrupted = trainer(tmp_path / "whole", 11)
    uninterrupted.fit(whole, datamodule=module(root, None, steps_per_epoch=4))
    assert [number for number, _ in whole.trained] == list(range(44))
    first = Recorder()
    trainer(tmp_path / "first", 7).fit(first, datamodule=module(root, steps_per_epoch=4))
    second, data = Recorder(), module(root, steps_per_epoch=4)
    resumed = trainer(tmp_path / "second", 11)
    resumed.fit(second, datamodule=data, ckpt_path=str(tmp_path / "first" / "step=6.ckpt"), weights_only=True)
    assert first.trained[:24] + second.trained == whole.trained
    assert torch.equal(second.weight, whole.weight)
    assert resumed.current_epoch == uninterrupted.current_epoch
    assert whole.validated == second.validated != set()
    assert not [w for w in recwarn if "not resumable" in str(w.message)]
    resumed.predict(second, datamodule=data, return_predictions=False)
    assert second.predicted == data.names


def test_names_of_other_files_in_the_folder_do_not_matter(root: Path, make_images) -> None:
    before = module(root)
    shutil.copy(root / "isaid" / "im0.png", root / "isaid" / "another.png")
    after = module(root)
    assert before._training is not None
    assert after._training is not None
    held = {path.stem for path in after._training.held_out}
    assert {path.stem for path in before._training.held_out} == held - {"another"}
