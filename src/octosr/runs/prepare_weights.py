"""``python prepare.py weights=...``: fetch weights by name or address, verified; ``weights=list`` shows the names."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from omegaconf import ListConfig
from rich.table import Table

from octosr.atomic import write_bytes
from octosr.download import download
from octosr.errors import ConfigError, DownloadError, MissingWeightsError, nearest
from octosr.runs.console import console
from octosr.runs.download_bar import download_bar
from octosr.runs.weight_files import Address, find_files, is_address, member_places, parse_address, place
from octosr.typed import typed
from octosr.weights_catalog import CATALOG, Weights

LIMIT = 1 << 30
"""No file of an archive is larger than this."""


def prepare_weights(value: str | ListConfig, output_root: Path) -> None:
    """Fetch what is named, or print the catalog.

    Args:
        value: ``list``, a name of the catalog, an address, or a list of such.
        output_root: files go to its folder ``weights``.

    Raises:
        ConfigError: no such name.
        MissingWeightsError: it can only be fetched by hand.
        DownloadError: it cannot be downloaded, or is not what was expected.
    """
    items = [str(item) for item in value] if isinstance(value, ListConfig) else [str(value)]
    if items == ["list"]:
        console.print(catalog_table(output_root))
        return
    for item in items:
        if item not in CATALOG and not is_address(item):
            hint = nearest(item, CATALOG) or f" Choose from: list, {', '.join(CATALOG)}; or an address."
            raise ConfigError(f"weights={item}: there is no such name.{hint}")
    for item in items:
        _fetch_entry(CATALOG[item], output_root) if item in CATALOG else _fetch_address(
            parse_address(item), output_root
        )


def _fetch_entry(entry: Weights, output_root: Path) -> None:
    if entry.url is None:
        raise MissingWeightsError(
            f"{entry.name} cannot be fetched by a program: download it from {entry.page} and give weights=FILE."
        )
    path = _fetch(Address(entry.url, entry.sha256), output_root, entry.size)
    if entry.members:
        _take_out(path, entry, member_places(entry, output_root))
    console.print(f"Trained on: {entry.trained_on}. Licence: {entry.licence}. Paper: {entry.paper}", markup=False)
    if entry.sha256 is not None:
        _say_next(entry.technique, entry.name)


def _fetch_address(address: Address, output_root: Path) -> None:
    _fetch(address, output_root, None)
    if address.sha256 is not None:
        _say_next("...", f"'{address.url}#sha256={address.sha256}'")


def _fetch(address: Address, output_root: Path, size: int | None) -> Path:
    """Download to its place; where the hash is not known, say it and what follows from that."""
    url, sha256 = address
    target = place(url, sha256 or "unverified", output_root)
    with download_bar(target.name) as progress:
        found = download(url, target, sha256=sha256, size=size, progress=progress)
    if sha256 is None:
        final = place(url, found, output_root)
        os.replace(target, final)
        target = final
    console.print(f"{target}  {target.stat().st_size} bytes  sha256 {found}", markup=False)
    if sha256 is None:
        console.print(
            "Nothing vouches for this hash: it is that of what came. Compare it with one that its authors publish. If "
            f"you trust the file: weights='{url}#sha256={found}'",
            style="yellow",
            markup=False,
        )
    return target


def _take_out(archive: Path, entry: Weights, targets: Iterable[Path]) -> None:
    """Write the files of an entry, under our names, from the archive that was verified."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for (member, _), target in zip(entry.members, targets, strict=True):
                if opened.getinfo(member).file_size > LIMIT:
                    raise DownloadError(f"{archive}: {member} is larger than {LIMIT >> 20} MiB.")
                write_bytes(target, opened.read(member))
    except (zipfile.BadZipFile, KeyError) as error:
        raise DownloadError(f"{archive} does not hold the files of {entry.name} ({error}).") from error


def _say_next(technique: str, weights: str) -> None:
    console.print(f"Next: {typed('eval')} technique={technique} weights={weights} dataset=...", markup=False)


def catalog_table(output_root: Path) -> Table:
    """The catalog; what is here already is marked."""
    table = Table(title="weights=NAME", title_justify="left")
    for heading in ("name", "technique", "scale", "MB", "licence", "paper", "trained on", "hash", ""):
        table.add_column(heading)
    for entry in CATALOG.values():
        scales = ", ".join(f"x{scale}" for scale in entry.scales)
        size = f"{entry.size / 1e6:.1f}" if entry.size else "?"
        state = (
            "by hand: " + entry.page if entry.url is None else "[green]here[/]" if _is_here(entry, output_root) else ""
        )
        hash_known = {"measured": "measured", "reported": "reported", "unknown": "[yellow]not known[/]"}[entry.evidence]
        table.add_row(
            entry.name, entry.technique, scales, size, entry.licence, entry.paper, entry.trained_on, hash_known, state
        )
    return table


def _is_here(entry: Weights, output_root: Path) -> bool:
    if entry.sha256 is None:
        return False
    try:
        find_files(entry.name, output_root)
    except MissingWeightsError:
        return False
    return True
