"""Generation: a copy of the averaged generator whose normalisation is fit for it.

The moving average holds weights that were never trained together, so statistics of batches that the trained generator
saw do not fit it. Two ways out, ``sampling_bn``:

* ``ema``: the statistics are measured anew with the averaged weights over many latents, and then they stand. An image
  is a function of the weights and its seed.
* ``batch``: as the public script, which leaves the generator in training mode: statistics are those of the 16 images
  made together. Here these are always the seeds 16 k to 16 k + 15 that a seed is among, so that an image is a function
  of its seed still; all 16 are made for one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from octosr.degradation.random import SampleRandom
from octosr.techniques.fastgan.draws import noise_maps
from octosr.techniques.fastgan.generator import Generator
from octosr.techniques.fastgan.layers import follow_spectra

BLOCK = 16
"""Images that share their statistics, as in the public script."""
_RANDOM = SampleRandom(0)
_POWER_STEPS = 16


def sampling_copy(average: Generator, latents: int | None) -> Generator:
    """A generator to sample from: singular vectors of the averaged weights, and their statistics.

    Args:
        average: the averaged generator; it is left as it is.
        latents: over how many latents the statistics are measured, BLOCK at a time, each batch counting alike; None:
            they stay those of each batch.
    """
    with torch.inference_mode(False), torch.no_grad():
        network = copy.deepcopy(average).requires_grad_(False)
        _alone(network)
        follow_spectra(network, _POWER_STEPS)
        network.train()
        if latents is None:
            return network
        for norm in _norms(network):
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
        weight = network.start.weight
        for first in range(0, latents, BLOCK):
            count = min(BLOCK, latents - first)
            if count == 1:
                break  # at 4 pixels a batch of one has no spread to speak of
            ids = torch.arange(first, first + count, device=weight.device)
            z = _RANDOM.normal(ids, "calibration", (network.latent,)).to(weight.dtype)
            network(z, noise_maps(_RANDOM, ids, network.noise_sides, "calibration", weight.dtype))
        return network.eval()


class Sampler:
    """Images of seeds, from copies of a generator that are kept until its weights change.

    Args:
        average: the averaged generator.
        latents: over how many latents the statistics are measured; None: they are those of BLOCK seeds.
        draw: the latents of seeds, (N,) and their length -> (N, length).
    """

    def __init__(self, average: Generator, latents: int | None, draw: Callable[[Tensor, int], Tensor]) -> None:
        self._average, self._count, self._draw = average, latents, draw
        self._copy: Generator | None = None
        self._block: dict[int, Tensor] = {}

    def forget(self) -> None:
        """The weights have changed: what was made from those of before is void."""
        self._copy, self._block = None, {}

    def images(self, seeds: Tensor) -> Tensor:
        """(N,) -> (N, 3, R, R) in [0, 1]."""
        weight = self._average.start.weight
        if self._copy is not None and self._copy.start.weight.device != weight.device:
            self.forget()
        if self._copy is None:
            self._copy = sampling_copy(self._average, self._count)
        if self._count is not None:
            return self._of(self._copy, seeds)
        firsts, places = blocks(seeds)
        made = {first: self._of_block(self._copy, first) for first in firsts}
        return torch.stack([made[firsts[block]][place] for block, place in places])

    def _of_block(self, network: Generator, first: int) -> Tensor:
        """The images of seeds first to first + 15; those asked for last are kept, since images are asked for singly."""
        if first not in self._block:
            seeds = torch.arange(first, first + BLOCK, device=network.start.weight.device)
            self._block = {first: self._of(network, seeds)}
        return self._block[first]

    def _of(self, network: Generator, seeds: Tensor) -> Tensor:
        return sample(network, self._draw(seeds, network.latent).to(network.start.weight.dtype), seeds)


def sample(network: Generator, z: Tensor, seeds: Tensor) -> Tensor:
    """Large images (N, 3, R, R) in [0, 1], with the noise that belongs to the seeds."""
    noise = noise_maps(_RANDOM, seeds.to(z.device), network.noise_sides, "sample", z.dtype)
    images: Tensor = network(z, noise)[0]
    return images.mul(0.5).add_(0.5).clamp_(0, 1)


def blocks(seeds: Tensor) -> tuple[list[int], list[tuple[int, int]]]:
    """The first seeds of the blocks that hold these seeds, and (which block, where in it) for each seed.

    >>> blocks(torch.tensor([3, 35, 16]))
    ([0, 16, 32], [(0, 3), (2, 3), (1, 0)])
    """
    values = seeds.tolist()
    firsts = sorted({value // BLOCK * BLOCK for value in values})
    return firsts, [(firsts.index(value // BLOCK * BLOCK), value % BLOCK) for value in values]


def _alone(network: nn.Module) -> None:
    """SyncBatchNorm (``trainer.sync_batchnorm``) would wait for processes that do not sample: back to BatchNorm2d."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.SyncBatchNorm):
                plain = nn.BatchNorm2d(child.num_features, child.eps, child.momentum, device=child.weight.device)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain.to(child.weight.dtype).requires_grad_(False).train(child.training))


def _norms(network: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
