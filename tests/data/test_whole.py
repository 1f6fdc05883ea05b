"""Whole images at one size, drawn in orders that do not depend on how a run is cut up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.data.datamodule import ImageDataModule
from octosr.data.whole import WholeImages, WholeSettings, image_numbers, square
from octosr.errors import BadImageError, ConfigError


def module(root: Path, whole: WholeSettings, rank: int = 0, world: int = 1, **settings: Any) -> ImageDataModule:
    data = ImageDataModule("isaid", root, whole=whole, **({"batch_size": 4} | settings))
    trainer = SimpleNamespace(global_rank=rank, world_size=world, num_devices=world, precision="32-true")
    data.trainer = trainer  # type: ignore[assignment]
    data.setup("fit")
    return data


def batches(data: ImageDataModule, count: int) -> list[dict[str, torch.Tensor]]:
    tick = next(iter(data.train_dataloader()))
    return [data.on_after_batch_transfer(tick, 0) for _ in range(count)]


@pytest.fixture
def root(tmp_path: Path, make_images) -> Path:
    make_images(tmp_path / "data" / "isaid", [(16, 16)] * 7)
    return tmp_path / "data"


def test_images_are_enlarged_as_pillow_does_and_all_of_them_are_shown(root: Path) -> None:
    data = module(root, WholeSettings(64, "lanczos", flip=False))
    first, second = batches(data, 2)
    assert first["sample_id"].tolist() == [0, 1, 2, 3]
    assert first["hr"].dtype == torch.float32
    shown = {image.numpy().tobytes() for batch in (first, second) for image in batch["hr"][:4]}
    expected = set()
    for file in (root / "isaid").rglob("*.png"):
        pixels = np.asarray(Image.open(file).resize((64, 64), Image.Resampling.LANCZOS))
        expected.add((torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255).contiguous().numpy().tobytes())
    assert len(expected) == 7
    assert shown == expected  # 8 samples of 7 images: all seven, one of them twice


def test_every_epoch_is_another_permutation() -> None:
    orders = [image_numbers(50, 3, epoch * 50, 50).tolist() for epoch in range(4)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert image_numbers(50, 4, 0, 50).tolist() != orders[0]
    whole = image_numbers(50, 3, 0, 200)
    assert torch.equal(image_numbers(50, 3, 33, 120), whole[33:153])
    assert image_numbers(3, 0, 1, 8).tolist() == image_numbers(3, 0, 0, 9).tolist()[1:]


def test_two_processes_draw_what_one_draws_and_resuming_changes_nothing(root: Path) -> None:
    settings = WholeSettings(32, "bicubic")
    one = batches(module(root, settings, batch_size=4), 3)
    two = [batches(module(root, settings, rank, 2, batch_size=2), 3) for rank in (0, 1)]
    for step, batch in enumerate(one):
        assert torch.equal(batch["hr"], torch.cat([process[step]["hr"] for process in two]))
    again = module(root, settings, batch_size=4)
    again.load_state_dict({"samples_done": 4})
    assert torch.equal(batches(again, 1)[0]["hr"], one[1]["hr"])


def test_half_of_the_images_are_mirrored() -> None:
    images = WholeImages(torch.arange(4, dtype=torch.uint8).expand(1, 3, 4, 4).clone(), flip=True)
    hr, _ = images.draw(0, 0, 400)
    mirrored = (hr[:, 0, 0, 0] > hr[:, 0, 0, 3]).float().mean()
    assert 0.4 < mirrored < 0.6
    plain, _ = WholeImages(images.pixels, flip=False).draw(0, 0, 50)
    assert (plain[:, 0, 0, 0] == 0).all()


def test_images_of_other_shapes_are_cut_to_their_centre() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 2:6] = 200
    assert (square(image, 4, "bilinear") == 200).all()
    assert (square(image, 16, "bilinear") == 200).all()
    larger = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(larger).resize((8, 8), Image.Resampling.BICUBIC))
    assert np.array_equal(square(larger, 8, "bicubic"), expected)


def test_what_is_wrong_is_said(root: Path) -> None:
    with pytest.raises(ConfigError, match="lanczos, bicubic, bilinear, not 'lanzcos'"):
        WholeSettings(64, "lanzcos")
    with pytest.raises(ConfigError, match="7 images of 200000x200000 take"):
        module(root, WholeSettings(200_000))
    file = next((root / "isaid").rglob("*.png"))
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(BadImageError, match=file.name):
        module(root, WholeSettings(32))
    assert len(module(root, WholeSettings(32), on_bad_image="skip").whole_images(torch.device("cpu")).pixels) == 6
