"""FastGAN in its straight form, for comparison: nothing rewritten, torch's own spectral norm, enlargement carried out.

Written from the paper's and the public code's structure, with weights taken from our networks by their published names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from octosr.techniques.fastgan.discriminator import Discriminator
from octosr.techniques.fastgan.generator import Generator
from octosr.techniques.fastgan.official import discriminator_layout, generator_layout


class PlainNetwork(nn.Module):
    """Layers by their published names, made from a layout; forward passes are in the classes below."""

    def __init__(self, layout: list[tuple[str, Tensor]]) -> None:
        super().__init__()
        state = {name: tensor.detach().clone() for name, tensor in layout}
        self.layer, self.strengths = nn.ModuleDict(), nn.ParameterDict()
        for name in {name.rsplit(".", 1)[0] for name in state}:
            key = name.replace(".", "-")
            if f"{name}.weight_orig" in state:
                self.layer[key] = self._conv(name, state)
            elif f"{name}.running_mean" in state:
                norm = nn.BatchNorm2d(len(state[f"{name}.weight"])).to(state[f"{name}.weight"].dtype)
                norm.load_state_dict({k: state[f"{name}.{k}"] for k in norm.state_dict()})
                self.layer[key] = norm
            else:
                self.strengths[key] = nn.Parameter(state[f"{name}.weight"])
        self.to(layout[0][1].device)

    @staticmethod
    def _conv(name: str, state: dict[str, Tensor]) -> nn.Module:
        weight = state[f"{name}.weight_orig"]
        kind = nn.ConvTranspose2d if name == "init.init.0" else nn.Conv2d
        side = weight.shape[-1]
        halving = side == 4 and ("down_" in name)
        stride, padding = (2, 1) if halving else (1, 1 if side == 3 else 0)
        ends = weight.shape[:2] if kind is nn.ConvTranspose2d else (weight.shape[1], weight.shape[0])
        layer = spectral_norm(kind(*ends, side, stride, padding, bias=False).to(weight.dtype))
        layer.load_state_dict({k: state[f"{name}.{k}"] for k in ("weight_orig", "weight_u", "weight_v")})
        return layer

    def run(self, name: str, x: Tensor) -> Tensor:
        """One layer."""
        found: Tensor = self.layer[name.replace(".", "-")](x)
        return found

    def up(self, name: str, x: Tensor, noise: Iterator[Tensor] | None = None) -> Tensor:
        """Enlarge, convolve, normalise, gate; with noise twice."""
        x = self.run(f"{name}.1", F.interpolate(x, scale_factor=2, mode="nearest"))
        if noise is None:
            return self.gate(self.run(f"{name}.2", x))
        x = x + self.strengths[f"{name}.2".replace(".", "-")] * next(noise)
        x = self.run(f"{name}.5", self.gate(self.run(f"{name}.3", x)))
        x = x + self.strengths[f"{name}.6".replace(".", "-")] * next(noise)
        return self.gate(self.run(f"{name}.7", x))

    def excite(self, name: str, small: Tensor, large: Tensor) -> Tensor:
        """Skip-layer excitation."""
        x = self.run(f"{name}.main.1", F.adaptive_avg_pool2d(small, 4))
        return large * torch.sigmoid(self.run(f"{name}.main.3", x * torch.sigmoid(x)))

    @staticmethod
    def gate(x: Tensor) -> Tensor:
        """Half of the channels times the sigmoid of the other half."""
        a, b = x.chunk(2, 1)
        return a * torch.sigmoid(b)


class PlainGenerator(PlainNetwork):
    """From our generator; 256 pixels and more."""

    def __init__(self, source: Generator) -> None:
        super().__init__(generator_layout(source))
        self.sides = source.sides

    def forward(self, z: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """As ours, with tanh everywhere."""
        maps = iter(noise)
        x = self.gate(self.run("init.init.1", self.run("init.init.0", z[:, :, None, None])))
        found = {4: x}
        for side in self.sides:
            x = self.up(f"feat_{side}", x, maps if side in (8, 32, 128, 512) else None)
            if 64 <= side <= 512:
                x = self.excite(f"se_{side}", found[side // 16], x)
            found[side] = x
        return torch.tanh(self.run("to_big", x)), torch.tanh(self.run("to_128", found[128]))


class PlainDiscriminator(PlainNetwork):
    """From our discriminator; 256 pixels and more."""

    def __init__(self, source: Discriminator) -> None:
        if source.resolution < 256:
            raise ValueError(f"the straight discriminator is for 256 pixels and more, not {source.resolution}")
        super().__init__(discriminator_layout(source))
        self.resolution = source.resolution

    def forward(
        self, big: Tensor, small: Tensor, quadrant: int | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor] | None]:
        """As ours."""
        x = F.leaky_relu(self.run("down_from_big.0", big), 0.2)
        if self.resolution == 1024:
            x = self._normed("down_from_big", 2, x)
        maps = {2: x}
        for side in (4, 8, 16, 32, 64):
            x = self._two_ways(f"down_{side}", x)
            if side >= 16:
                x = self.excite(f"se_{side // 8}_{side}", maps[side // 8], x)
            maps[side] = x
        y = F.leaky_relu(self.run("down_from_small.0", small), 0.2)
        for number in (2, 3, 4):
            y = self._normed(f"down_from_small.{number}.main", 0, y)
        score = self.run("rf_big.3", self._normed("rf_big", 0, x)).flatten(1)
        logits = torch.cat((score, self.run("rf_small", y).flatten(1)), 1)
        if quadrant is None:
            return logits, None
        top, left = quadrant // 2 * 8, quadrant % 2 * 8
        part = maps[32][:, :, top : top + 8, left : left + 8]
        return logits, (self._draw("decoder_big", x), self._draw("decoder_small", y), self._draw("decoder_part", part))

    def _normed(self, name: str, number: int, x: Tensor) -> Tensor:
        return F.leaky_relu(self.run(f"{name}.{number + 1}", self.run(f"{name}.{number}", x)), 0.2)

    def _two_ways(self, name: str, x: Tensor) -> Tensor:
        main = self._normed(f"{name}.main", 3, self._normed(f"{name}.main", 0, x))
        return (main + self._normed(f"{name}.direct", 1, F.avg_pool2d(x, 2))) / 2

    def _draw(self, name: str, x: Tensor) -> Tensor:
        for number in range(1, 5):
            x = self.up(f"{name}.main.{number}", x)
        return torch.tanh(self.run(f"{name}.main.5", x))


def plain_translation(images: Tensor, offset: Tensor) -> Tensor:
    """Shifts by index grids of every pixel, as DiffAugment's public code has them."""
    count, _, height, width = images.shape
    device = images.device
    n, y, x = torch.meshgrid(
        torch.arange(count, device=device), torch.arange(height, device=device), torch.arange(width, device=device),
        indexing="ij",
    )  # fmt: skip
    y = (y + offset[:, 0].view(-1, 1, 1) + 1).clamp(0, height + 1)
    x = (x + offset[:, 1].view(-1, 1, 1) + 1).clamp(0, width + 1)
    return F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1).contiguous()[n, y, x].permute(0, 3, 1, 2)
