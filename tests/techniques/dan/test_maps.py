"""The two ways of holding feature maps do the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradients import same_with_gradients
from octosr.techniques.dan.maps import FastMaps, PlainMaps, maps_for


def test_filters_are_transformed_once_and_all_gradients_are_right():
    layer = nn.Conv2d(6, 5, 3, padding=1).double()
    x = torch.randn(2, 6, 9, 8, dtype=torch.float64, requires_grad=True)
    maps = FastMaps()
    with torch.no_grad():  # the first iterations of the alternation
        maps.conv(layer, maps.enter(x))
    found = maps.conv(layer, maps.enter(x)) + maps.conv(layer, maps.enter(2 * x))
    inputs = (x, layer.weight, layer.bias)
    same_with_gradients(found, layer(x) + layer(2 * x), inputs, value=1e-11, slope=1e-10)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("sides", [(4, 4), (8, 12)])
def test_nine_values_are_added_alike_to_either_kind_of_maps(sides, grad):
    x, nine = torch.randn(2, 3, *sides, dtype=torch.float64), torch.randn(2, 3, 3, 3, dtype=torch.float64)
    expected = x.clone()
    for i, rows in enumerate((slice(0, 1), slice(1, -1), slice(-1, None))):
        for j, columns in enumerate((slice(0, 1), slice(1, -1), slice(-1, None))):
            expected[:, :, rows, columns] += nine[:, :, i : i + 1, j : j + 1]
    with torch.set_grad_enabled(grad):
        for maps in (PlainMaps(), FastMaps()):
            found = maps.add_nine(maps.enter(x.clone()), nine)
            torch.testing.assert_close(found, expected)


def test_fast_convolution_is_used_only_where_they_fit():
    lr = torch.rand(1, 3, 8, 8)
    assert isinstance(maps_for(lr, 64, True), FastMaps)
    assert not isinstance(maps_for(lr, 64, False), FastMaps)
    assert not isinstance(maps_for(lr, 16, True), FastMaps)
    assert not isinstance(maps_for(lr.bfloat16(), 64, True), FastMaps)
    with torch.autocast("cpu", torch.bfloat16):
        assert not isinstance(maps_for(lr, 64, True), FastMaps)
