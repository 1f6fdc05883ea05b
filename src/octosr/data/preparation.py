"""Finding, checking and decoding the images of a run: the part of the data module that comes before any batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl

from octosr.data.bank import ImageBank, load_bank
from octosr.data.decode import MAX_PIXELS
from octosr.data.decoded import kept_bank
from octosr.data.locate import DatasetFiles
from octosr.data.processes import on_this_machine, say
from octosr.data.references import check_references
from octosr.data.settings import check_settings
from octosr.data.sources import (
    DEMO,
    demo_folder,
    domain_of,
    evaluation_files,
    kind_of,
    size_notes,
    study_notes,
    training_files,
)
from octosr.data.training import TrainingImages, prepare_training, too_small
from octosr.data.whole import WholeImages, WholeSettings, prepare_whole
from octosr.errors import BadImageError, MissingDataError

log = logging.getLogger(__name__)


class PreparedImages(pl.LightningDataModule):
    """Settings and :meth:`setup` of :class:`octosr.data.datamodule.ImageDataModule`, where both are described."""

    def __init__(
        self,
        dataset: str,
        root: str | Path | None = "data",
        path: str | Path | None = None,
        cache: str | Path = "outputs/cache",
        source: str = "self",
        hr_root: str | Path | None = None,
        reference_root: str | Path | None = None,
        patch: int = 128,
        batch_size: int = 8,
        steps_per_epoch: int = 1000,
        validation_fraction: float = 0.1,
        validation_size: int | None = None,
        max_validation: int = 16,
        seed: int = 0,
        on_bad_image: str = "error",
        eval_batch_size: int = 4,
        device_cache_mb: int = 2048,
        decoded_cache_mb: int = 16384,
        max_pixels: int = MAX_PIXELS,
        scale: int = 8,
        whole: WholeSettings | None = None,
    ) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # with more processes than images some have none
        check_settings(
            dataset=dataset,
            source=source,
            hr_root=hr_root,
            on_bad_image=on_bad_image,
            scale=scale,
            multiples={"patch": patch, "validation_size": validation_size},
            positive={
                "batch_size": batch_size,
                "steps_per_epoch": steps_per_epoch,
                "max_validation": max_validation,
                "eval_batch_size": eval_batch_size,
                "max_pixels": max_pixels,
            },
            validation_fraction=validation_fraction,
        )
        self.dataset, self.root, self.path, self.cache = dataset, root, path, cache
        self.hr_root = hr_root if source == "hr_root" else None
        self.reference_root = reference_root
        self.batch_size, self.steps_per_epoch, self.eval_batch_size = batch_size, steps_per_epoch, eval_batch_size
        self.validation_fraction, self.max_validation = validation_fraction, max_validation
        self.validation_size, self.patch, self.scale, self.seed = validation_size, patch, scale, seed
        self.on_bad_image, self.max_pixels = on_bad_image, max_pixels
        self.device_cache_mb, self.decoded_cache_mb = device_cache_mb, decoded_cache_mb
        self.whole = whole

        self.names: list[str] = []
        self.files: dict[str, Path] = {}
        self.references: dict[str, Path] = {}
        self.standin = False
        self.domain = domain_of(dataset)
        self.kind = kind_of(dataset, standin=False)
        self.left_out: list[tuple[str, str]] = []
        self.samples_done = 0

        self._found: DatasetFiles | None = None
        self._banks: dict[tuple[Path, ...], ImageBank] = {}
        self._training: TrainingImages | None = None
        self._whole: WholeImages | None = None
        self._evaluation: ImageBank | None = None
        self._on_device: ImageBank | WholeImages | None = None
        self._selected: set[str] | None = None
        self._digests: dict[str, str] = {}

    def prepare_data(self) -> None:
        """Make the demo set where it is asked for; by one process a machine."""
        if self._is_demo:
            demo_folder(self.cache)

    def find(self) -> None:
        """Find the LR images and their references without decoding any: names, files, references and kind.

        Raises:
            MissingDataError: they are not there.
        """
        self._locate(required=True)

    def setup(self, stage: str | None = None) -> None:
        """Find, check and decode what a stage needs; calling it again does nothing.

        Args:
            stage: ``fit`` or ``validate`` for the training side, ``predict`` or ``test`` for the LR images to
                super-resolve, None for both.
        """
        training = stage in (None, "fit", "validate")
        evaluation = stage in (None, "predict", "test")
        self._locate(required=evaluation or self.hr_root is None)
        if training and self.whole is not None:
            self._load_whole(self.whole)
        elif training and self._training is None:
            self._load_training()
        if evaluation and self._evaluation is None:
            self._load_evaluation()

    @property
    def _is_demo(self) -> bool:
        return self.dataset in DEMO and self.path is None

    def _locate(self, required: bool) -> None:
        if self._found is not None:
            return
        try:
            found = evaluation_files(self.dataset, self.root, self.path, self.cache, self.reference_root)
        except MissingDataError:
            if required:
                raise
            say(log, logging.INFO, f"{self.dataset} is not there; training on {self.hr_root} does not need it")
            return
        self._found = found
        self._name(found.lr)
        self.references = dict(found.references)
        self.standin = found.standin
        self.kind = kind_of(self.dataset, found.standin, found.own)
        for note in study_notes(found):
            say(log, logging.WARNING, note)

    def _name(self, paths: tuple[Path, ...]) -> None:
        self.files = {path.stem: path for path in paths}
        self.names = list(self.files)
        self.references = {name: path for name, path in self.references.items() if name in self.files}

    def _load_evaluation(self) -> None:
        assert self._found is not None  # located as required
        bank = self._bank(self._found.lr)
        self._name(bank.paths)
        sizes = {path.stem: bank.size(number) for number, path in enumerate(bank.paths)}
        self.references, unfit = check_references(self.references, sizes, self.scale, self.max_pixels)
        self._accept([*bank.problems, *unfit], left=len(bank))
        for note in size_notes(self._found, list(sizes.values())):
            say(log, logging.WARNING, note)
        self._evaluation = bank

    def _load_training(self) -> None:
        files = training_files(self._found, demo_folder(self.cache) if self._is_demo else None, self.hr_root)
        bank = self._bank(files.paths)
        held_out = self._bank(files.held_out) if files.held_out else None
        problems = [*bank.problems, *too_small(bank, 2 * self.scale)]
        if held_out is not None:
            problems += [*held_out.problems, *too_small(held_out, 2 * self.scale)]
        self._accept(problems, left=len(bank))
        if self._found is not None and files.paths == self._found.lr:
            self._name(bank.paths)
        self._training = prepare_training(
            bank,
            dict(zip(files.paths, files.keys, strict=True)),
            held_out,
            patch=self.patch,
            validation_size=self.validation_size,
            fraction=self.validation_fraction,
            maximum=self.max_validation,
            scale=self.scale,
            say=lambda line: say(log, logging.INFO, line),
        )
        self.patch = self._training.patch

    def _load_whole(self, settings: WholeSettings) -> None:
        """All images, none of them held out: there is nothing to validate against."""
        if self._whole is not None:
            return
        files = training_files(self._found, None, self.hr_root)
        bank = self._bank(files.paths)
        self._accept(bank.problems, left=len(bank))
        if self._found is not None and files.paths == self._found.lr:
            self._name(bank.paths)
        self._whole = prepare_whole(bank, settings, on_this_machine(self.trainer))
        say(log, logging.INFO, f"training on {len(bank)} images, all there are, at {settings.side}x{settings.side}")

    def _bank(self, paths: tuple[Path, ...]) -> ImageBank:
        """The decoded files; the same files are decoded once."""
        if paths not in self._banks:
            keep_deep = self._found is not None and paths == self._found.lr
            self._banks[paths] = kept_bank(
                Path(self.cache) / "decoded",
                paths,
                f"{keep_deep} {self.max_pixels}",
                self.decoded_cache_mb * 2**20,
                lambda: load_bank(
                    paths,
                    keep_deep=keep_deep,
                    max_pixels=self.max_pixels,
                    processes=on_this_machine(self.trainer),
                ),
            )
        return self._banks[paths]

    def _accept(self, problems: Sequence[tuple[str, str]], left: int) -> None:
        """Stop at unusable files, or note that they are left out."""
        if problems and (self.on_bad_image == "error" or left == 0):
            raise BadImageError(problems)
        for problem in problems:
            if problem not in self.left_out:
                self.left_out.append(problem)
                say(log, logging.WARNING, f"left out: {problem[0]}: {problem[1]}")
