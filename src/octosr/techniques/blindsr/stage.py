"""One scale of BlindSR: its kernels, its two networks and their calibration, and how far they are trained."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from octosr.degradation.resize import resize
from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.network import PUBLISHED_SIZES, Calibration, Discriminator, Generated, Generator, Sizes
from octosr.techniques.blindsr.starts import calibration_grid


class BlindSRStage(nn.Module):
    """Everything for one scale.

    Args:
        space: the kernels.
        sizes: of both networks.

    Attributes:
        generator_steps: int64, for how many steps the generator is trained.
        discriminator_steps: int64, the same for the discriminator.
        calibration_steps: int64, the same for the calibration; 0: there is none.
        space_numbers: float64, (4,), the kernel space: it travels with the weights, which mean nothing without it.
    """

    generator_steps: Tensor
    discriminator_steps: Tensor
    calibration_steps: Tensor
    space_numbers: Tensor

    def __init__(self, space: KernelSpace, sizes: Sizes = PUBLISHED_SIZES) -> None:
        super().__init__()
        self.scale = space.scale
        self.generator = Generator(space.scale, space.size, sizes)
        self.discriminator = Discriminator(space.scale, sizes)
        self.calibration = Calibration(len(calibration_grid(space)))
        self.register_buffer("generator_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("discriminator_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("calibration_steps", torch.zeros((), dtype=torch.int64))
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

        For the published kernels by Pillow, from 8 bits to 8 bits: that is what the published weights were trained
        with, down to how Pillow rounds.
        """
        height, width = (side * self.scale for side in lr.shape[-2:])
        if self.space.aligned:
            return resize(lr, (height, width))
        pixels = lr.detach().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        large = [np.array(Image.fromarray(p).resize((width, height), Image.Resampling.BICUBIC)) for p in pixels]
        return torch.from_numpy(np.stack(large)).permute(0, 3, 1, 2).to(lr).div(255)

    def encode(self, parameters: Tensor) -> Tensor:
        """Codes of kernels, (..., 3) to (..., C)."""
        return self.generator.encode(self.space.kernels(parameters))

    def generate(self, lr: Tensor, parameters: Tensor) -> Generated:
        """Enlarge (B, 3, h, w), each image for its kernel (B, 3)."""
        return self.generator(lr, self.enlarge(lr), self.encode(parameters))
