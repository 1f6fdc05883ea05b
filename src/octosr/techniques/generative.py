"""The generative family: a technique learns a dataset and synthesises new images, one a seed.

Training is measured in **kimg**, thousands of real images shown, summed over all processes. Lightning's ``global_step``
counts every step of every optimiser (two or more a batch here) and means nothing to a reader; lengths and intervals
that a user sees are in kimg.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from octosr.degradation.random import SampleRandom
from octosr.errors import ConfigError
from octosr.nn.average import average_weights
from octosr.techniques.gradients import GradientSums
from octosr.techniques.technique import Technique

__all__ = ["Enlargement", "GenerativeTechnique", "average_weights"]

Enlargement = Literal["lanczos", "bicubic", "bilinear"]


class GenerativeTechnique(Technique):
    """Learns a dataset's images and synthesises new ones: image i of a dataset is seed i.

    There is no LR input, so a generated image is the super-resolution of nothing: PSNR, SSIM and LR consistency do not
    apply to this family.

    A technique implements :meth:`generate`, ``training_step`` and ``configure_optimizers`` (two optimisers; manual
    optimisation). Its step ends with :meth:`step` for each of them and :meth:`count_images` once. Networks are called
    directly; the gradients of several processes are averaged by :meth:`step` alone, one flat all-reduce a phase, since
    DistributedDataParallel would wait in every phase for gradients of the networks that the phase leaves alone.

    Args:
        name: see :class:`~octosr.techniques.technique.Technique`.
        resolution: side R in pixels of the training images and of what is generated.
        kimg: how long to train, in thousands of images shown; None: :attr:`published_kimg`.
        enlarge: the filter that brings the dataset's LR images to R x R, once, before training.
        flip: show each training image mirrored half of the time.
        batch_gpu: a step's images are done so many at a time, with gradients accumulated; None: all at once.
        seed: of all randomness in training; two runs with the same seed and data are the same run.

    Training batches: ``hr`` float32 (B, 3, R, R) in [0, 1] and ``sample_id`` int64 (B,), ids that count up from 0 over
    the whole training and all processes.

    Attributes:
        images_shown: int64 (), real images shown so far, by all processes together; a buffer, so that checkpoints
            have it.

    Raises:
        ConfigError: a setting makes no sense.
    """

    run_settings: ClassVar[tuple[str, ...]] = ("kimg",)
    images_shown: Tensor

    def __init__(
        self,
        name: str,
        *,
        resolution: int = 1024,
        kimg: float | None = None,
        enlarge: Enlargement = "lanczos",
        flip: bool = True,
        batch_gpu: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(name)
        if kimg is not None and kimg <= 0:
            raise ConfigError(f"technique.kimg is how many thousand images to train on, so above 0, but is {kimg}.")
        if enlarge not in get_args(Enlargement):
            raise ConfigError(f"technique.enlarge must be one of {', '.join(get_args(Enlargement))}, not {enlarge!r}.")
        if batch_gpu is not None and batch_gpu < 1:
            raise ConfigError(f"technique.batch_gpu must be 1 or more, or null for all at once, but is {batch_gpu}.")
        if resolution < 4:
            raise ConfigError(f"technique.resolution must be at least 4 pixels, but is {resolution}.")
        self.automatic_optimization = False
        self.resolution, self.kimg_limit, self.batch_gpu = int(resolution), kimg, batch_gpu
        self.enlarge, self.flip, self.seed = enlarge, flip, int(seed)
        self.random = SampleRandom(self.seed)
        self.register_buffer("images_shown", torch.zeros((), dtype=torch.int64))
        self._sums = GradientSums()
        self._shown: int | None = None  # the same on the host, so that nothing waits for the device to know it

    # What a technique is asked for

    @abstractmethod
    def generate(self, seeds: Tensor) -> Tensor:
        """Synthesise one image per seed.

        Args:
            seeds: int64, (N,). The same seed gives the same image whatever else is in the batch.

        Returns:
            float RGB in [0, 1], (N, 3, resolution, resolution).
        """

    def forward(self, seeds: Tensor) -> Tensor:
        """Same as :meth:`generate`."""
        return self.generate(seeds)

    @property
    def published_kimg(self) -> float:
        """Thousands of images of the published training, used when no length is given; -1: none is known."""
        return -1.0

    def predict_step(self, batch: dict[str, Any], batch_idx: int = 0) -> dict[str, Any]:
        """Generate the images of the seeds of one evaluation batch.

        One at a time: libraries choose their kernels by the batch's size, and the last bits with it, which is enough to
        turn an 8-bit value.
        """
        images = [self.generate(seed) for seed in batch["seed"].split(1)]
        return {"name": batch["name"], "sr": torch.cat(images)}

    def latents(self, seeds: Tensor, dim: int) -> Tensor:
        """Standard normal latents, (N, dim) float32 on this module's device.

        Each is ``numpy.random.RandomState(seed).randn(1, dim)``, as StyleGAN2's sampler draws it: the same on every
        device, and the same as upstream's for the same seed.

        Args:
            seeds: int64 (N,), each in 0 .. 2^32 - 1.
            dim: length of a latent.
        """
        rows = [np.random.RandomState(seed).randn(1, dim) for seed in seeds.tolist()]
        return torch.from_numpy(np.concatenate(rows)).to(self.device, torch.float32)

    # How far training is

    @property
    def kimg(self) -> float:
        """Thousands of images shown so far."""
        return self._images() / 1000

    @property
    def kimg_total(self) -> float:
        """Thousands of images to train on; infinity where neither a length is given nor one is published."""
        limit = self.kimg_limit if self.kimg_limit is not None else self.published_kimg
        return limit if limit > 0 else math.inf

    def count_images(self, shown_here: int) -> None:
        """To be called once in every training step: so many real images were shown by this process.

        The processes show equally many. Training stops after the step that reaches the length asked for.
        """
        self._shown = self._images() + shown_here * self._world
        self.images_shown.fill_(self._shown)
        self.log("train/kimg", self.images_shown / 1000)  # what the other curves are to be drawn over
        self._stop_when_done()

    def _images(self) -> int:
        if self._shown is None:
            self._shown = int(self.images_shown)
        return self._shown

    def _stop_when_done(self) -> None:
        if self._images() >= round(1000 * self.kimg_total if self.kimg_total < math.inf else 2**62):
            self.trainer.should_stop = True

    @property
    def _world(self) -> int:
        return self._trainer.world_size if self._trainer is not None else 1

    # Hooks of Lightning

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Forget the count of before; the buffer brings the right one."""
        self._shown = None

    def on_train_start(self) -> None:
        """Read the count anew, since weights may have been loaded; stop at once if there is nothing left to train."""
        self._shown = None
        if self._world > 1 and not isinstance(self.trainer.model, DistributedDataParallel):
            raise ConfigError(
                f"{self.name} averages its gradients itself and knows DDP only: set trainer.strategy=ddp, "
                f"not {type(self.trainer.strategy).__name__}."
            )
        self._stop_when_done()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Switch off DDP's own reduction; Lightning switches it on again after every step."""
        wrapped = self.trainer.model
        if isinstance(wrapped, DistributedDataParallel):
            wrapped.require_backward_grad_sync = False

    # One phase of a step

    def step(self, optimizer: Any, parameters: Iterable[nn.Parameter], *, sanitise: bool = False) -> None:
        """End a phase: average its gradients over the processes, take the optimiser's step, drop the gradients.

        Args:
            optimizer: one of ``self.optimizers()``.
            parameters: those of the phase's network, the same on every process.
            sanitise: replace NaN by 0 and infinities by +-1e5 in the gradients, as StyleGAN2 does. Not with the
                gradient scaler of 16-mixed, which has to see them.
        """
        parameters = list(parameters)
        self._sums.give(parameters, self._world)
        if sanitise and getattr(self.trainer.precision_plugin, "scaler", None) is None:
            for gradient in (p.grad for p in parameters if p.grad is not None):
                torch.nan_to_num(gradient, nan=0.0, posinf=1e5, neginf=-1e5, out=gradient)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Add a loss's gradients to those of the phase; see :class:`~octosr.techniques.gradients.GradientSums`."""
        super().manual_backward(loss, *args, **kwargs)
        if self._world > 1 or self.batch_gpu is not None:  # else there are two passes at most, whose order is one
            self._sums.add(self.parameters())

    def micro_batches(self, batch: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
        """The batch in parts of ``batch_gpu`` images, for gradients that are accumulated."""
        size = len(batch["sample_id"])
        part = min(self.batch_gpu or size, size)
        for start in range(0, size, part):
            yield {key: value[start : start + part] for key, value in batch.items()}

    def step_generator(self, purpose: str) -> torch.Generator:
        """Random numbers of this step for one purpose, on this module's device.

        Seeded by (seed, images shown so far, process, purpose), so that a resumed run draws what an uninterrupted one
        would. Where several processes must draw what one would, use ``self.random`` (a
        :class:`~octosr.degradation.random.SampleRandom`) with the batch's ``sample_id``.
        """
        rank = self._trainer.global_rank if self._trainer is not None else 0
        text = f"{self.seed}|{self._images()}|{rank}|{purpose}"
        word = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
        return torch.Generator(self.device).manual_seed(word)
