"""From image files to batches.

Training images are decoded once and live as 8-bit pixels in one tensor, on the training device where they fit. The
training loader only ticks; a batch is cut when the tick reaches the device, from sample ids that count up over the
whole training and all processes. What a sample is depends on its id and the seed alone, hence a resumed run equals
one that was never stopped, and one process equals several.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from octosr.data.bank import ImageBank
from octosr.data.crops import random_crops
from octosr.data.loaders import PredictLoader, TickLoader, ValidationLoader, shard, shard_or_all
from octosr.data.preparation import PreparedImages
from octosr.data.whole import WholeImages
from octosr.errors import ConfigError

Images = TypeVar("Images", ImageBank, WholeImages)

VALIDATION_IDS = 2**40
"""Sample id of the first validation crop: far beyond any training sample, so the two share no randomness."""


class ImageDataModule(PreparedImages):
    """The images of one dataset, for training, validation and super-resolution.

    Args:
        dataset: one of the 14 study datasets, ``demo``, ``demo_pairs`` or ``folder``.
        root: the folder that holds the 14 datasets.
        path: the dataset's own folder, wherever it is; needed for ``folder``.
        cache: where the demo set is made, and decoded images are kept.
        source: ``self``: train on the dataset's own images as HR side; ``hr_root``: on another folder.
        hr_root: folder of HR images, with subfolders, for ``source="hr_root"``.
        reference_root: folder with ``<dataset>/<name>.*`` HR references.
        patch: side of the HR training crops in pixels, a multiple of ``scale``; reduced where an image is smaller.
        batch_size: training crops a process and step.
        steps_per_epoch: steps that make an epoch.
        validation_fraction: share of the images held out, see :func:`octosr.data.split.hold_out`.
        validation_size: side of the validation crops; None: the smallest held-out side, at most 256.
        max_validation: at most so many held-out images.
        seed: seed of the crops.
        on_bad_image: ``error`` or ``skip``.
        eval_batch_size: largest batch in validation and super-resolution.
        device_cache_mb: the training images are kept on the device if they take at most so many MB.
        decoded_cache_mb: decoded images are kept on disk for other runs if they take at most so many MB, see
            :mod:`octosr.data.decoded`; 0: never.
        max_pixels: a file of more pixels is refused before it is decoded.
        scale: the whole upscaling factor.
        whole: train on whole images of one size, all of them, in place of crops; see :mod:`octosr.data.whole`.

    After :meth:`setup`:

    Attributes:
        names: stems of the LR images, unique, in natural order.
        files: LR file by name.
        references: HR reference by name, for those that have one.
        kind: ``study``, ``stand-in``, ``own``, ``demo`` or ``folder``.
        standin: whether these are stand-ins.
        domain: the study's domain, ``Mixed`` (demo) or ``Other`` (folder).
        left_out: (file, reason) of what ``on_bad_image="skip"`` goes on without.
        patch: the side of the training crops in use.
        samples_done: training samples drawn so far, by all processes together.

    Batches, on the device: training and validation ``hr`` (B, 3, H, W) float32 in [0, 1] and ``sample_id`` (B,) int64;
    super-resolution ``name`` (list), ``lr`` (B, 3, h, w) float32 in [0, 1] and ``index`` (B,) int64 into ``names``.

    Raises:
        ConfigError: a setting makes no sense.
        MissingDataError: from :meth:`setup`, no images; the message says how to get them.
        BadImageError: from :meth:`setup`, the list of all files that cannot be used.
    """

    def train_dataloader(self) -> TickLoader:
        """``steps_per_epoch`` ticks."""
        return TickLoader(self.steps_per_epoch)

    def val_dataloader(self) -> ValidationLoader:
        """This process's share of the held-out crops."""
        crops = self._needed(self._training, "fit").validation
        positions = shard_or_all(range(len(crops)), *self._process)
        return ValidationLoader(crops, positions, self.eval_batch_size, VALIDATION_IDS)

    def predict_dataloader(self) -> PredictLoader:
        """This process's share of the (selected) LR images."""
        bank = self._needed(self._evaluation, "predict")
        wanted = [n for n, name in enumerate(self.names) if self._selected is None or name in self._selected]
        return PredictLoader(bank, self.names, shard(wanted, *self._process), self.eval_batch_size)

    def select(self, names: Sequence[str] | None) -> None:
        """Limit super-resolution to some images, for example those not done yet; None: all of them again.

        Raises:
            ConfigError: there is no image of such a name.
        """
        unknown = [] if names is None else [name for name in names if name not in self.files]
        if unknown:
            raise ConfigError(f"{self.dataset} has no images named {', '.join(unknown)}.")
        self._selected = None if names is None else set(names)

    def file_sha256(self, name: str) -> str:
        """Hash of the bytes of one LR file, in hexadecimal."""
        if name not in self._digests:
            self._digests[name] = hashlib.sha256(self.files[name].read_bytes()).hexdigest()
        return self._digests[name]

    @property
    def _process(self) -> tuple[int, int]:
        """Number of this process, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    @staticmethod
    def _needed(value: Any, stage: str) -> Any:
        if value is None:
            raise RuntimeError(f"call setup({stage!r}) first")
        return value

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int = 0) -> dict[str, Any]:
        """Make the training batch that a tick stands for; bring 8-bit images to [0, 1]."""
        if "tick" in batch:
            made = self._training_batch(batch["tick"].device)
        else:
            made = {key: _unit_range(value) if key in ("hr", "lr") else value for key, value in batch.items()}
        if self.trainer is not None and self.trainer.precision == "64-true":
            # Lightning converts what a loader gives; these images are made only now.
            return {key: value.double() if key in ("hr", "lr") else value for key, value in made.items()}
        return made

    def _training_batch(self, device: torch.device) -> dict[str, Tensor]:
        rank, world = self._process
        first = self.samples_done + rank * self.batch_size
        self.samples_done += world * self.batch_size
        if self.whole is not None:
            hr, sample_ids = self.whole_images(device).draw(self.seed, first, self.batch_size)
            return {"hr": hr.to(device, non_blocking=True), "sample_id": sample_ids.to(device)}
        bank = self._bank_near(device)
        sample_ids = torch.arange(first, first + self.batch_size, dtype=torch.int64, device=bank.pixels.device)
        hr = random_crops(bank, self.patch, self.seed, sample_ids)
        return {"hr": hr.to(device, non_blocking=True), "sample_id": sample_ids.to(device)}

    def whole_images(self, device: torch.device) -> WholeImages:
        """The whole training images, near the device as :meth:`_near` has it."""
        return self._near(device, self._needed(self._whole, "fit"))

    def _bank_near(self, device: torch.device) -> ImageBank:
        return self._near(device, self._needed(self._training, "fit").bank)

    def _near(self, device: torch.device, images: Images) -> Images:
        """Training images on the device, moved there once, or in main memory where they are too large for it."""
        if self._on_device is None or self._on_device.pixels.device != device:
            if images.nbytes > self.device_cache_mb * 2**20:
                return images
            self._on_device = images.to(device)
        return cast(Images, self._on_device)

    def state_dict(self) -> dict[str, Any]:
        """How many samples have been drawn: all that exact resuming needs."""
        return {"samples_done": self.samples_done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.samples_done = int(state_dict["samples_done"])


def _unit_range(images: Tensor) -> Tensor:
    return images.float().div_(255) if images.dtype == torch.uint8 else images.float()
