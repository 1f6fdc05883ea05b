"""One scale of BlindSR: its kernels, its two networks, and how far they are trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from octosr.degradation.resize import resize
from octosr.degradation.rounding import quantise
from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.network import Discriminator, Generated, Generator


class BlindSRStage(nn.Module):
    """Everything for one scale.

    Args:
        space: the kernels.
        code, features, growth, layers, blocks: sizes of both networks, see ``network``.

    Attributes:
        generator_steps: int64, for how many steps the generator is trained.
        discriminator_steps: int64, the same for the discriminator.
        space_numbers: float64, (4,), the kernel space: it travels with the weights, which mean nothing without it.
    """

    generator_steps: Tensor
    discriminator_steps: Tensor
    space_numbers: Tensor

    def __init__(
        self,
        space: KernelSpace,
        code: int = 15,
        features: int = 64,
        growth: int = 16,
        layers: int = 5,
        blocks: int | None = None,
    ) -> None:
        super().__init__()
        self.scale = space.scale
        self.generator = Generator(space.scale, space.size, code, features, growth, layers, blocks)
        self.discriminator = Discriminator(space.scale, code, features, growth, layers, blocks)
        self.register_buffer("generator_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("discriminator_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("space_numbers", torch.zeros(4, dtype=torch.float64))
        self.set_space(space)

    @property
    def space(self) -> KernelSpace:
        """The kernels that the weights are for."""
        return self._space

    def set_space(self, space: KernelSpace) -> None:
        """Use other kernels; an encoder for kernels of another size begins anew."""
        encoder = self.generator.encoder
        if encoder.in_features != space.size**2:
            fresh = nn.Linear(space.size**2, encoder.out_features)
            self.generator.encoder = fresh.to(device=encoder.weight.device, dtype=encoder.weight.dtype)
        self._space = space
        self.space_numbers.copy_(torch.tensor(space.numbers(), dtype=torch.float64))

    def enlarge(self, lr: Tensor) -> Tensor:
        """Bicubic interpolation of (B, 3, h, w), the generator's second input; (B, 3, s*h, s*w).

        For the published kernels as in Pillow, which rounds to 8 bits after each direction: its results are what the
        published weights were trained with.
        """
        height, width = (side * self.scale for side in lr.shape[-2:])
        if self.space.aligned:
            return resize(lr, (height, width))
        across = quantise(resize(lr, (lr.shape[-2], width), border="renormalise"))
        return quantise(resize(across, (height, width), border="renormalise"))

    def encode(self, parameters: Tensor) -> Tensor:
        """Codes of kernels, (..., 3) to (..., C)."""
        return self.generator.encode(self.space.kernels(parameters))

    def generate(self, lr: Tensor, parameters: Tensor) -> Generated:
        """Enlarge (B, 3, h, w), each image for its kernel (B, 3)."""
        return self.generator(lr, self.enlarge(lr), self.encode(parameters))
