"""How a network of one scale is brought to another, with networks whose results are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from octosr.degradation.resize import resize
from octosr.errors import ConfigError, MissingWeightsError, WrongWeightsError
from octosr.prediction.tiling import ArraySource, ListSink, upscale
from octosr.techniques.fixed_network import FixedScaleNetwork
from octosr.techniques.fixed_scale import FixedScale
from octosr.techniques.scale_steps import steps


class Repeat(FixedScaleNetwork):
    """Repeats pixels, adds ``shift``, and keeps the sides and dtypes it was given."""

    def __init__(self, scale: int, shift: float = 0.0) -> None:
        super().__init__()
        self.scale = scale
        self.shift = nn.Parameter(torch.tensor(shift))
        self.facts = {"architecture": "Repeat"}
        self.seen: list[tuple[int, torch.dtype, bool]] = []

    def enlarge(self, images: Tensor) -> Tensor:
        self.seen.append((images.shape[-1], images.dtype, torch.is_autocast_enabled("cpu")))
        return images.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3) + self.shift


class Technique(FixedScale):
    network_to_read: FixedScaleNetwork

    def read_network(self, paths: Sequence[Path]) -> FixedScaleNetwork:
        return self.network_to_read


def technique(network: FixedScaleNetwork, scale: int = 8, to_scale: str = "bicubic") -> Technique:
    made = Technique("toy", scale, to_scale)  # type: ignore[arg-type]
    made.network_to_read = network
    made.load_weights([Path("toy.pth")])
    return made


@pytest.mark.parametrize(
    ("own", "scale", "to_scale", "expected"),
    [
        (8, 8, "between", "n8"),
        (2, 8, "after", "n2 n2 n2"),
        (4, 16, "between", "n4 n4"),
        (4, 8, "between", "n4 a2 n4"),
        (4, 8, "after", "n4 n4 a2"),
        (4, 8, "bicubic", "n4 r"),
        (4, 2, "between", "n4 a2"),
        (4, 2, "bicubic", "n4 a2"),
        (16, 8, "between", "n16 a2"),
        (3, 8, "between", "n3 n3 r"),
        (3, 8, "bicubic", "n3 r"),
        (2, 4, "bicubic", "n2 n2"),
    ],
)
def test_steps(own: int, scale: int, to_scale: str, expected: str) -> None:
    found = steps(own, scale, to_scale)  # type: ignore[arg-type]
    assert " ".join(s.kind[0] + (str(s.factor) if s.kind != "resize" else "") for s in found) == expected


@pytest.mark.parametrize("own", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("to_scale", ["between", "after", "bicubic"])
def test_every_way_ends_at_the_scale(own: int, to_scale: str) -> None:
    lr = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    sr = technique(Repeat(own), to_scale=to_scale).super_resolve(lr)
    assert sr.shape == (2, 3, 40, 56)
    if own != 3 and (own, to_scale) != (4, "bicubic"):  # repeating and taking means of areas are each other's inverse
        repeated = lr.repeat_interleave(8, 2).repeat_interleave(8, 3)
        torch.testing.assert_close(sr, repeated)


def test_bicubic_enlarges_what_the_network_made() -> None:
    lr = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    sr = technique(Repeat(4), to_scale="bicubic").super_resolve(lr)
    torch.testing.assert_close(sr, resize(lr.repeat_interleave(4, 2).repeat_interleave(4, 3), (48, 48)))


def test_every_pass_sees_values_from_0_to_1() -> None:
    sr = technique(Repeat(2, shift=0.75)).super_resolve(torch.full((1, 3, 2, 2), 0.5))
    torch.testing.assert_close(sr, torch.full((1, 3, 16, 16), 1.75))  # 1.25 -> 1; 1.75 -> 1; the last is not clamped


def test_a_network_runs_in_half_precision_only_if_it_can() -> None:
    images = torch.rand(1, 3, 2, 2)
    network = Repeat(8)
    network.half_precisions = frozenset({torch.bfloat16})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(images)
    with torch.autocast("cpu", dtype=torch.float16):
        assert network(images).dtype == torch.float32
    assert [entry[2] for entry in network.seen] == [True, False]
    assert network.bfloat16()(images).dtype == torch.float32
    assert network.seen[-1][1] == torch.bfloat16
    with pytest.raises(ConfigError, match=r"float16: set trainer\.precision=32-true"):
        network.half()(images)


def test_what_it_is_and_does_is_said() -> None:
    made = Technique("toy")
    with pytest.raises(MissingWeightsError, match="before its weights are loaded"):
        made.super_resolve(torch.rand(1, 3, 2, 2))
    made.network_to_read = Repeat(4)
    assert made.load_weights([Path("toy.pth")]) == "weights toy.pth (Repeat); x8 by network x4 -> resize"
    assert made.described() == {"architecture": "Repeat", "steps": [["network", 4], ["resize", 1]]}
    made.to_scale = "between"
    assert made.described()["steps"] == [["network", 4], ["area", 2], ["network", 4]]
    assert not any(parameter.requires_grad for parameter in made.parameters())


def test_a_network_that_does_not_enlarge_is_refused() -> None:
    with pytest.raises(WrongWeightsError, match=r"toy\.pth restores images at their own size \(x1\)"):
        technique(Repeat(1))


def test_an_unknown_way_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"technique\.to_scale must be one of .*Did you mean 'between'"):
        Technique("toy", 8, "betwen")  # type: ignore[arg-type]


def test_without_weights_the_three_ways_to_give_them_are_said() -> None:
    with pytest.raises(MissingWeightsError, match=r"technique=mine .*weights=FILE.*#sha256=.*weights=list"):
        Technique.own_weights({"name": "mine"})


class Blur(FixedScaleNetwork):
    """Repeats pixels and takes means of 5x5: a reach of 2 pixels at its output, so less than 2 at its input."""

    reach = 2

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.zeros(1))

    def enlarge(self, images: Tensor) -> Tensor:
        repeated = images.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
        return nn.functional.avg_pool2d(repeated, 5, 1, 2) * 1.2


@pytest.mark.parametrize("own", [2, 3, 4, 16])
@pytest.mark.parametrize("to_scale", ["between", "after", "bicubic"])
def test_tiles_make_what_the_whole_image_would(own: int, to_scale: str) -> None:
    made = technique(Blur(own), to_scale=to_scale)
    image = torch.rand(3, 37, 45, generator=torch.Generator().manual_seed(2))
    sink = ListSink()
    report = upscale(made, ArraySource(image), sink, tile=16)
    assert report.tiles > 1
    assert report.bound == 0
    with torch.no_grad():
        whole = made.super_resolve(image[None])[0]
    torch.testing.assert_close(sink.image(), whole, rtol=0, atol=1e-5)


def test_the_passes_are_what_the_steps_say_and_a_network_without_reach_is_blended() -> None:
    between = technique(Blur(4), to_scale="between").tiling()
    assert between is not None
    assert [(one.scale, one.halo) for one in between.passes] == [(2, 2), (4, 2)]
    odd = technique(Blur(3), to_scale="after").tiling()
    assert odd is not None
    assert [(one.scale, one.halo) for one in odd.passes] == [(8, 4)]  # 2 + 2/3 + 4/9, rounded up
    unknown = technique(Repeat(4)).tiling()
    assert unknown is not None
    assert unknown.blend > 0
    assert unknown.bound is None
    network = Blur(4)
    network.tiled = False
    assert technique(network).tiling() is None


@pytest.mark.parametrize("scale", [2, 3, 4, 8, 16])
def test_the_same_network_serves_every_scale(scale: int) -> None:
    made = technique(Repeat(4))
    other = made.at_scale(scale)
    assert other.super_resolve(torch.rand(1, 3, 3, 5)).shape == (1, 3, 3 * scale, 5 * scale)
    assert other.network is made.network
    assert made.scale == 8
    with pytest.raises(ConfigError, match="toy enlarges by 2 or more, not by 1"):
        made.at_scale(1)


def test_a_reach_is_the_known_one_or_the_one_that_is_given() -> None:
    network = Blur(2)
    network.reach = 165
    made = technique(network)
    known = made.tiling()
    assert known is not None
    assert (known.blend, known.passes[0].halo, known.bound) == (0, 165, 0)
    made.reach = 3
    given = made.tiling()
    assert given is not None
    assert given.passes[0].halo == 3
    unknown = technique(Repeat(2))
    unknown.reach = 5
    given = unknown.tiling()
    assert given is not None
    assert [(one.scale, one.halo) for one in given.passes] == [(2, 5)] * 3
    assert (given.blend, given.bound) == (0, 0)
    for wrong in (-1, "exact"):
        with pytest.raises(ConfigError, match=r"technique\.reach is a number of pixels, or null"):
            Technique("toy", reach=wrong)  # type: ignore[arg-type]
