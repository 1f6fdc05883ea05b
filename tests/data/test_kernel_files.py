"""Files of estimated kernels: what is in them, and that they are not taken for images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.data.kernel_files import kernel_paths, without_kernels, write_kernel


def test_numbers_and_picture(tmp_path: Path) -> None:
    kernel = torch.zeros(13, 13)
    kernel[6, 7], kernel[6, 8] = 0.75, 0.25
    write_kernel(tmp_path / "a.v2.png", kernel)
    numbers, picture = kernel_paths(tmp_path / "a.v2.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.v2.kernel.npy", "a.v2.kernel.png"]
    found = np.load(numbers, allow_pickle=False)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, kernel.numpy())
    pixels = np.asarray(Image.open(picture))
    assert pixels.shape == (169, 169, 3)  # 13 pixels a tap
    assert (pixels[6 * 13 : 7 * 13, 7 * 13 : 8 * 13] == 255).all()
    assert (pixels[6 * 13 : 7 * 13, 8 * 13 : 9 * 13] == 85).all()
    assert pixels.astype(int).sum() == 3 * 169 * (255 + 85)


def test_kernels_that_are_none_are_refused(tmp_path: Path) -> None:
    for wrong in (torch.full((5, 5), float("nan")), torch.zeros(3, 5), torch.zeros(1, 5, 5)):
        with pytest.raises(ValueError, match="finite kernel"):
            write_kernel(tmp_path / "a.png", wrong)
    assert not list(tmp_path.iterdir())


def test_only_pictures_beside_their_image_are_left_out() -> None:
    names = ["a.png", "a.kernel.png", "b.kernel.png", "c.jpg", "c.kernel.png", "c.kernel.jpg"]
    assert [p.name for p in without_kernels(map(Path, names))] == ["a.png", "b.kernel.png", "c.jpg", "c.kernel.jpg"]
