"""Files of estimated kernels: what is in them, and that they are not taken for images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.data.kernel_files import (
    kernel_files,
    kernel_map_paths,
    kernel_paths,
    kernel_picture,
    without_kernels,
    write_kernel,
    write_kernel_map,
)


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


def test_kernels_of_cells_lie_where_the_cells_are(tmp_path: Path) -> None:
    kernels = torch.zeros(2, 3, 5, 5)
    kernels[..., 2, 2] = 0.5
    kernels[..., 0, 0] = 0.5
    kernels[1, 2] = 0
    kernels[1, 2, 4, 3] = 1.0
    image = tmp_path / "a.png"
    assert kernel_picture(image) is None
    write_kernel(image, kernels.mean((0, 1)))
    assert kernel_picture(image) == kernel_paths(image)[1]
    write_kernel_map(image, kernels)
    numbers, picture = kernel_map_paths(image)
    np.testing.assert_array_equal(np.load(numbers, allow_pickle=False), kernels.numpy())
    square = -(-160 // 11)
    pixels = np.asarray(Image.open(picture))[::square, ::square, 0]
    assert pixels.shape == (11, 17)
    assert pixels[6 + 4, 12 + 3] == 255
    assert pixels[6, 12] == 0  # of the last cell
    assert pixels[2, 2] == pixels[0, 6] == pixels[8, 8] in (127, 128)
    assert set(pixels[5].tolist()) | set(pixels[:, 11].tolist()) <= {127, 128}  # the lines between
    assert kernel_files(image) == [kernel_paths(image)[0], numbers]
    assert kernel_picture(image) == picture
    # a later run with one kernel an image leaves nothing of them
    write_kernel(image, kernels[0, 0])
    assert kernel_files(image) == [kernel_paths(image)[0]]
    assert not picture.exists()


def test_a_picture_of_many_cells_has_some_of_them(tmp_path: Path) -> None:
    kernels = torch.zeros(30, 20, 99, 99)
    kernels[..., 49, 49] = 1
    write_kernel_map(tmp_path / "a.png", kernels)
    height, width, _ = np.asarray(Image.open(kernel_map_paths(tmp_path / "a.png")[1])).shape
    assert (height, width) == (15 * 100 - 1, 10 * 100 - 1)
    for wrong in (torch.full((1, 1, 5, 5), float("nan")), torch.zeros(2, 2, 3, 5), torch.zeros(5, 5)):
        with pytest.raises(ValueError, match="finite kernels"):
            write_kernel_map(tmp_path / "a.png", wrong)


def test_only_pictures_beside_their_image_are_left_out() -> None:
    names = ["a.png", "a.kernel.png", "b.kernel.png", "c.jpg", "c.kernel.png", "c.kernel.jpg", "c.kernels.png"]
    assert [p.name for p in without_kernels(map(Path, names))] == ["a.png", "b.kernel.png", "c.jpg", "c.kernel.jpg"]
