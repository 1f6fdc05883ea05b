from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.callbacks.picture import comparison_picture, save_picture


def columns(batch: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    lr = torch.rand(batch, 3, 32, 32, generator=generator)
    return {"LR": lr, "SR": torch.nn.functional.interpolate(lr, scale_factor=8), "HR": torch.ones(batch, 3, 256, 256)}


def test_layout_and_pixels() -> None:
    """LR enlarged by nearest neighbour is the same picture as the SR column made that way."""
    picture = comparison_picture(columns())
    assert picture.mode == "RGB"
    assert picture.width == 8 + 3 * (256 + 8)
    pixels = np.asarray(picture)
    top = 8 + 26
    lr, sr, hr = (pixels[top : top + 256, 8 + i * 264 : 8 + i * 264 + 256] for i in range(3))
    np.testing.assert_array_equal(lr, sr)
    assert (hr == 255).all()
    first = (columns()["LR"][0, :, 0, 0] * 255).round().byte().tolist()
    assert pixels[top, 8].tolist() == first


def test_small_images_are_enlarged_and_large_ones_cut_at_their_centre() -> None:
    small = comparison_picture({"a": torch.zeros(3, 32, 32)})
    assert small.width == 8 + 224 + 8
    image = torch.zeros(3, 1024, 1024)
    image[:, 256:768, 256:768] = 1
    cut = comparison_picture({"a": image})
    assert cut.width == 8 + 512 + 8
    assert (np.asarray(cut)[34 : 34 + 512, 8:520] == 255).all()


def test_label_rows_and_captions_take_room_and_ink() -> None:
    plain = comparison_picture(columns())
    rich = comparison_picture(
        columns(),
        rows=["cat", "a name so long that it has to be cut" * 9],
        label="STAND-IN",
        captions={"SR": ["1 dB"] * 2},
    )
    assert rich.height == plain.height + 26 + 2 * 2 * 20
    red = np.asarray(rich)[:34]
    assert ((red[..., 0] > 150) & (red[..., 1] < 60)).any()


def test_values_out_of_range_are_clamped() -> None:
    picture = comparison_picture({"a": torch.full((3, 256, 256), 2.0), "b": torch.full((3, 256, 256), float("nan"))})
    assert np.asarray(picture)[100, 100].tolist() == [255, 255, 255]


def test_columns_must_agree() -> None:
    with pytest.raises(ValueError, match="same number of images"):
        comparison_picture({"a": torch.zeros(2, 3, 8, 8), "b": torch.zeros(1, 3, 8, 8)})


def test_save(tmp_path: Path) -> None:
    save_picture(comparison_picture(columns()), tmp_path / "new/picture.png")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["picture.png"]
    assert Image.open(tmp_path / "new/picture.png").format == "PNG"
