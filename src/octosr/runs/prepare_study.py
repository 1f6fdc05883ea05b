"""``prepare.py`` for the study's own images: from Kaggle, or from an archive or a folder on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from octosr.catalog import DATASETS, KAGGLE, TECHNIQUES, find
from octosr.data.archives import is_archive, unpack
from octosr.data.decode import MAX_PIXELS, UnreadableImage, read_image_uint8
from octosr.data.kaggle import fetch
from octosr.data.own_place import LOCK
from octosr.data.study_place import PUBLISHED, How, clear_standin, lay, lr_folder, refuse_occupied
from octosr.data.study_survey import Survey, survey
from octosr.data.threads import for_each_file
from octosr.errors import BadImageError, ConfigError, MissingDataError
from octosr.runs.console import console
from octosr.runs.prepare_look import check, look, published, table_of
from octosr.typed import typed


@dataclass
class Given:
    """Images that were named on the command line or fetched.

    Attributes:
        folder: where they lie, unpacked.
        origin: what SOURCE.json calls it.
        root: data.root.
        names: the datasets that are wanted.
        how: whether files may be moved or only copied from there.
        study: what there is of the study; None: these are somebody's own images.
        max_pixels: limit on the size of an image.
    """

    folder: Path
    origin: str
    root: Path
    names: Sequence[str]
    how: How
    study: Survey | None = None
    max_pixels: int = MAX_PIXELS

    def refuse(self) -> None:
        """Raise ConfigError where a dataset's place is taken."""
        refuse_occupied(self.root, {name: [path.name for path in files] for name, files in self._wanted().items()})

    def lay(self, with_published: bool) -> None:
        """Check every file, lay those that are right, and show the table.

        Raises:
            ConfigError: a dataset's place is taken.
            BadImageError: files cannot be used; the others have been laid.
            MissingDataError: datasets are still missing or not complete; what there is has been laid.
        """
        assert self.study is not None
        lr = self._wanted()
        results = {key: files for key, files in self.study.published.items() if with_published and key[1] in self.names}
        problems = list(self.study.problems)
        written = 0
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / LOCK):
            self.refuse()
            for name, files in lr.items():
                good = self._readable(files, f"{name}: checking", problems)
                clear_standin(self.root, name)
                written += lay(good, lr_folder(self.root, name), self.origin, self.how)
            for (technique, name), files in results.items():
                good = self._readable(files, f"{TECHNIQUES[technique].title}, {name}: checking", problems)
                written += lay(good, self.root / PUBLISHED / technique / name, self.origin, self.how)
        self._say(written, results)
        _finish(self.names, self.root, problems, self.max_pixels)

    def _wanted(self) -> dict[str, list[Path]]:
        assert self.study is not None
        return {name: self.study.lr[name] for name in self.names if name in self.study.lr}

    def _readable(self, files: Sequence[Path], title: str, problems: list[tuple[str, str]]) -> list[Path]:
        def decoded(path: Path) -> None:
            read_image_uint8(path, self.max_pixels)

        outcomes = for_each_file(decoded, files, title)
        bad = {error.path: error.reason for error in outcomes if isinstance(error, UnreadableImage)}
        problems += [(str(path), reason) for path, reason in bad.items()]
        return [path for path in files if path not in bad]

    def _say(self, written: int, results: dict[tuple[str, str], list[Path]]) -> None:
        assert self.study is not None
        console.print(f"{written} files laid under {self.root} from {self.origin}", markup=False)
        for reason, number in sorted(self.study.passed_over.items()):
            console.print(f"passed over: {number} {reason}", markup=False)
        if results:
            technique, name = next(iter(results))
            paired = "" if TECHNIQUES[technique].single_image else " technique.paired=false"
            console.print(
                f"To score what the study published: {typed('eval')} technique=precomputed dataset={name} "
                f"technique.root={self.root / PUBLISHED / technique} technique.name=published_{technique}{paired}",
                markup=False,
            )


def complete_from_kaggle(
    names: Sequence[str], root: Path, with_published: bool | None, max_pixels: int = MAX_PIXELS
) -> None:
    """Fetch what is missing or not right of the datasets; nothing is fetched where all is there.

    Args:
        names: the datasets.
        root: data.root.
        with_published: the study's published HR images too: True: fetch them where they are missing; None: lay them
            where something is fetched anyway; False: not.
        max_pixels: limit on the size of an image.

    Raises:
        DownloadError: see :func:`octosr.data.kaggle.fetch`.
        ConfigError, BadImageError, MissingDataError: see :meth:`Given.lay`.
    """
    found = [look(name, root, max_pixels) for name in names]
    lacking = [entry.name for entry in found if not entry.is_study]
    bare = [name for name in names if len(published(name, root)) < len(TECHNIQUES)] if with_published else []
    if not lacking and not bare:
        console.print(table_of(found, root))
        console.print("All there and right; nothing was fetched.")
        return
    refuse_occupied(root, {name: [] for name in lacking})
    console.print(f"fetching {KAGGLE} from Kaggle for {len(lacking or bare)} of {len(names)} datasets", markup=False)
    cache = root / ".kagglehub"
    images = Given(fetch(cache), f"kaggle: {KAGGLE}", root, names, "copy", max_pixels=max_pixels)
    images.study = survey(images.folder, max_pixels)
    with _scratch(root) as scratch:
        if images.folder.is_relative_to(cache.absolute()):
            images.refuse()  # before the cache is emptied
            os.replace(images.folder, scratch)
            shutil.rmtree(cache)
            images.folder, images.how, images.study = scratch, "move", survey(scratch, max_pixels)
        images.lay(with_published is not False)


@contextmanager
def given(path: Path, root: Path, names: Sequence[str], images: str, max_pixels: int = MAX_PIXELS) -> Iterator[Given]:
    """What ``from=PATH`` names: an archive is unpacked into a folder that is gone afterwards.

    Args:
        path: a folder or an archive.
        root: data.root.
        names: the datasets that are wanted.
        images: ``study``, ``own``, or ``auto``: the study's, if LR images of the wanted datasets are among them.
        max_pixels: limit on the size of an image.

    Raises:
        MissingDataError: there is no such path, or nothing of the study where that is needed.
        ConfigError: own images for more than one dataset.
        ArchiveError: see :func:`octosr.data.archives.unpack`.
    """
    if not path.exists():
        raise MissingDataError(f"from={path} is not there. Name a folder of images, or a zip or tar archive.")
    if images == "own" and len(names) > 1:
        raise ConfigError(f"Own images make one dataset, and {len(names)} are named. Choose one, e.g. dataset=isaid.")
    origin = str(path.resolve())
    if path.is_dir():
        yield _told(Given(path, origin, root, names, "copy", max_pixels=max_pixels), images)
        return
    if not is_archive(path):
        raise MissingDataError(f"from={path} is neither a folder nor a zip or tar archive (or its end is missing).")
    with _scratch(root) as folder:
        with console.status(f"unpacking {path}"):
            unpack(path, folder)
        yield _told(Given(folder, origin, root, names, "move", max_pixels=max_pixels), images)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """Name for a folder on the disk of the datasets, gone afterwards; one at a time, so that leftovers can be told."""
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".unpack.lock"):
        for old in root.glob(".unpacked-*"):  # of killed runs
            shutil.rmtree(old)
        folder = root / f".unpacked-{os.getpid()}"
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _told(images: Given, kind: str) -> Given:
    """With a survey, if these are the study's images."""
    if kind == "own":
        return images
    found = survey(images.folder, images.max_pixels)
    if any(name in found.lr for name in images.names) or any(key[1] in images.names for key in found.published):
        images.study = found
    elif kind == "study" or len(images.names) > 1:
        raise MissingDataError(
            f"{images.origin} holds no image of {_few(images.names)} that is named as the study's are "
            f"(e.g. {find(images.names[0]).example}.{find(images.names[0]).extensions[0]}). "
            f"To build a dataset from your own images, name one: {typed('prepare')} dataset=isaid from=FOLDER."
        )
    return images


def _finish(names: Sequence[str], root: Path, problems: list[tuple[str, str]], max_pixels: int) -> None:
    found = check(names, root, max_pixels)
    if problems:
        raise BadImageError(problems)
    partial = [f"{entry.name} ({entry.files} images)" for entry in found if not entry.is_study]
    if partial:
        raise MissingDataError(f"Not the study's complete set, see the table: {', '.join(partial)}.")


def _few(names: Sequence[str]) -> str:
    return "the study" if len(names) == len(DATASETS) else ", ".join(names)
