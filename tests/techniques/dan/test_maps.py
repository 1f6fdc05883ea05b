"""The two ways of holding feature maps do the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from octosr.nn import winograd
from octosr.techniques.dan.maps import PlainMaps, TiledMaps, maps_for


def test_too_large_a_transform_with_gradients_is_convolved_directly(monkeypatch):
    layer = nn.Conv2d(6, 6, 3, padding=1).double()
    x = torch.randn(1, 6, 8, 8, dtype=torch.float64)
    maps = TiledMaps()
    expected = maps.conv(layer, maps.enter(x))
    monkeypatch.setattr("octosr.techniques.dan.maps.MAX_NUMBERS", 1)
    monkeypatch.setattr(winograd, "convolve", None)
    torch.testing.assert_close(maps.conv(layer, maps.enter(x)), expected)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("sides", [(4, 4), (8, 12)])
def test_nine_values_are_added_alike_to_either_kind_of_maps(sides, grad):
    x, nine = torch.randn(2, 3, *sides, dtype=torch.float64), torch.randn(2, 3, 3, 3, dtype=torch.float64)
    expected = x.clone()
    for i, rows in enumerate((slice(0, 1), slice(1, -1), slice(-1, None))):
        for j, columns in enumerate((slice(0, 1), slice(1, -1), slice(-1, None))):
            expected[:, :, rows, columns] += nine[:, :, i : i + 1, j : j + 1]
    with torch.set_grad_enabled(grad):
        for maps in (PlainMaps(), TiledMaps()):
            found = maps.leave(maps.add_nine(maps.enter(x.clone()), nine))
            torch.testing.assert_close(found, expected)


def test_tiles_are_used_only_where_they_fit():
    lr = torch.rand(1, 3, 8, 8)
    assert isinstance(maps_for(lr, 64, True), TiledMaps)
    assert not isinstance(maps_for(lr, 64, False), TiledMaps)
    assert not isinstance(maps_for(lr, 16, True), TiledMaps)
    assert not isinstance(maps_for(lr[..., :7], 64, True), TiledMaps)
    assert not isinstance(maps_for(lr.bfloat16(), 64, True), TiledMaps)
    with torch.autocast("cpu", torch.bfloat16):
        assert not isinstance(maps_for(lr, 64, True), TiledMaps)
