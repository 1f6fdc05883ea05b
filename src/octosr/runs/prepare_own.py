"""``prepare.py dataset=NAME from=FOLDER``: a dataset built from anyone's images, and what is said about it."""

from __future__ import annotations

import shlex
from pathlib import Path

from omegaconf import DictConfig

from octosr.data.locate import OWN_MARKER
from octosr.data.own_place import Built, build_own
from octosr.runs.console import console
from octosr.runs.prepare_look import look, progress_bar, table_of
from octosr.typed import typed

SHOWN = 10
"""So many of the images that were left out are named on the screen; the manifest names all."""


def build(cfg: DictConfig, dataset: str, folder: Path, root: Path) -> None:
    """Build the dataset, and say what became of the images and what can be typed next.

    Raises:
        ConfigError, MissingDataError, OSError: see :func:`octosr.data.own_place.build_own`.
    """
    with progress_bar() as progress:
        task = progress.add_task("reducing", total=cfg.own.count)
        built = build_own(
            folder,
            root,
            dataset,
            count=cfg.own.count,
            seed=cfg.own.seed,
            overwrite=cfg.own.overwrite,
            origin=str(Path(cfg["from"]).resolve()),
            max_pixels=cfg.data.max_pixels,
            advance=lambda: progress.advance(task),
        )
    console.print(table_of([look(dataset, root, cfg.data.max_pixels)], root))
    for line in _said(built, dataset, cfg.own.count):
        console.print(line, markup=False)
    where = "" if root == Path("data") else " " + shlex.quote(f"data.root={root}")
    console.print(f"Next: {typed('eval')} dataset={dataset} technique=bicubic{where}", markup=False)


def _said(built: Built, dataset: str, count: int) -> list[str]:
    selection = built.selection
    chosen, references = len(selection.chosen), sum("HR" in image.results for image in selection.chosen)
    lines = [] if built.new else [f"{built.folder}: the very same was there already, nothing was changed."]
    lines.append(
        f"{chosen} of {selection.found} images: LR images of 128x128, {references} of them with an HR reference of "
        f"1024x1024 (PSNR and SSIM are computed for these). {built.folder / OWN_MARKER} says what was made of what."
    )
    if chosen < count:
        lines.append(f"Fewer than the {count} asked for: the folder has no more that can be used.")
    if selection.left_out:
        lines.append(f"Left out ({len(selection.left_out)}):")
        lines += [f"  {source}: {reason}" for source, reason in selection.left_out[:SHOWN]]
        lines += [f"  and {len(selection.left_out) - SHOWN} more"] if len(selection.left_out) > SHOWN else []
    if built.moved is not None:
        lines.append(f"What was there before lies in {built.moved}.")
    lines.append(f"Own images, not the study's: scores on this {dataset} are of kind 'own' in every table.")
    return lines
