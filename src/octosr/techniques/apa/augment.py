"""ADA's "bgc" augmentation of what the discriminator sees: moves of whole pixels, geometry, colours.

T. Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020, appendix B. Every
transformation happens to an image with probability p. All geometric ones are composed to one affine map and all of
colour to one matrix, so that an image is resampled once.

The small matrices are made on the CPU: there the margin that the batch needs is a number at once, where on a GPU the
next operation would wait for it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.techniques.apa import transforms
from octosr.techniques.apa.draws import Draws

SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
"""Low-pass filter of the wavelet sym6 (Daubechies, "Ten Lectures on Wavelets", 1992)."""
PAD = len(SYM6) // 4
"""Half of what the filter reaches, in pixels of the image."""


class Augmentation(nn.Module):
    """Transform images at random, differentiably (twice, for R1).

    Args:
        rotate: with turns of 90 degrees and free rotations. They leak into generated images where p is high; leave them
            out for subjects that stand upright.
    """

    taps: Tensor

    def __init__(self, rotate: bool = True) -> None:
        super().__init__()
        self.rotate = rotate
        taps = torch.tensor(SYM6, dtype=torch.float64)
        self.register_buffer("taps", taps / taps.sum(), persistent=False)

    def forward(self, images: Tensor, p: Tensor, draws: Draws, purpose: str) -> Tensor:
        """(N, 3, H, W) -> (N, 3, H, W).

        Args:
            images: about -1 to 1.
            p: probability of each transformation, ().
            draws: random numbers of the images.
            purpose: which of the phase's images they are.
        """
        chance = transforms.Chances(draws, f"bgc/{purpose}", float(p))
        inverse = transforms.geometry(chance, images.shape[3], images.shape[2], self.rotate)
        colours = transforms.colours(chance)
        return recolour(self.resample(images, inverse), colours)

    def resample(self, images: Tensor, inverse: Tensor) -> Tensor:
        """Fetch every pixel from where an affine map says, through a low-pass filter at twice the resolution.

        Args:
            images: (N, C, H, W).
            inverse: (N, 3, 3) float64 on the CPU: from places of the result to places of the image, in pixels from
                the centre. Beyond its edges the image is mirrored.
        """
        height, width = images.shape[2:]
        if torch.equal(inverse, torch.eye(3, dtype=inverse.dtype).expand_as(inverse)):
            return images
        left, right, top, bottom = margins(inverse, width, height)
        x = F.pad(images, (left, right, top, bottom), mode="reflect")
        inverse = transforms.shift((left - right) / 2, (top - bottom) / 2) @ inverse
        x = self._up(x)
        # The finer grid has its centre where the coarse one has it, and the filter delays by half of a fine pixel.
        inverse = transforms.scale(2.0, 2.0) @ inverse @ transforms.scale(0.5, 0.5)
        inverse = transforms.shift(-0.5, -0.5) @ inverse @ transforms.shift(0.5, 0.5)
        size = (len(x), x.shape[1], 2 * (height + 2 * PAD), 2 * (width + 2 * PAD))
        unit = transforms.scale(2 / x.shape[3], 2 / x.shape[2]) @ inverse @ transforms.scale(size[3] / 2, size[2] / 2)
        grid = F.affine_grid(unit[:, :2].to(x.device, x.dtype), list(size), align_corners=False)
        return self._down(F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False))

    def _kernels(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The filter along rows and along columns, for every channel of ``like``."""
        along = self.taps.to(like.device, like.dtype).view(1, 1, 1, -1).expand(like.shape[1], 1, 1, -1)
        return along, along.mT

    def _up(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, 2h, 2w): zeros in between, then the filter."""
        along, across = self._kernels(x)
        count, rim = x.shape[1], len(SYM6) // 2 - 1
        x = F.conv_transpose2d(x, 2 * along, stride=(1, 2), padding=(0, rim), groups=count)
        return F.conv_transpose2d(x, 2 * across, stride=(2, 1), padding=(rim, 0), groups=count)

    def _down(self, x: Tensor) -> Tensor:
        """The filter mirrored, then every second pixel: (N, C, 2h + 12, 2w + 12) -> (N, C, h, w)."""
        along, across = self._kernels(x)
        x = F.conv2d(x[..., 1:-1, 1:-1], along, stride=(1, 2), groups=x.shape[1])
        return F.conv2d(x, across, stride=(2, 1), groups=x.shape[1])


def margins(inverse: Tensor, width: int, height: int) -> tuple[int, int, int, int]:
    """Pixels (left, right, top, bottom) that a batch's maps and the filter reach beyond the image.

    At most all pixels but one of a side, the most that can be mirrored.
    """
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = torch.tensor([[-x, x, x, -x], [-y, -y, y, y], [1, 1, 1, 1]], dtype=inverse.dtype)
    seen = (inverse @ corners)[:, :2].transpose(0, 1).flatten(1)
    reach = torch.stack([-seen[0].min(), seen[0].max(), -seen[1].min(), seen[1].max()])
    limits = torch.tensor([width - 1, width - 1, height - 1, height - 1], dtype=inverse.dtype)
    reach = (reach + 2 * PAD - limits / 2).clamp(min=0).minimum(limits).ceil()
    left, right, top, bottom = (int(side) for side in reach)
    return left, right, top, bottom


def recolour(images: Tensor, matrix: Tensor) -> Tensor:
    """Multiply each pixel (R, G, B, 1) by its image's matrix, (N, 4, 4)."""
    if torch.equal(matrix, torch.eye(4, dtype=matrix.dtype).expand_as(matrix)):
        return images
    matrix = matrix.to(images.device, images.dtype)
    out = torch.einsum("nij,njhw->nihw", matrix[:, :3, :3], images)
    return out + matrix[:, :3, 3, None, None]
