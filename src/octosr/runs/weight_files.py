"""Where the files that ``weights=`` names lie: a path, an address with its hash, or a name of the catalog.

Nothing is downloaded here: ``python prepare.py weights=...`` does that, into ``output_root/weights``.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from octosr.errors import MissingWeightsError, WrongWeightsError, nearest
from octosr.hashing import cached_sha256
from octosr.typed import typed
from octosr.weights_catalog import CATALOG, Weights


class Address(NamedTuple):
    """An address without its fragment, and the sha256 that stood behind ``#sha256=`` (None: there was none)."""

    url: str
    sha256: str | None


def is_address(item: str) -> bool:
    """Whether this is an address and not a path (a Windows drive is no scheme)."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", item) is not None


def parse_address(item: str) -> Address:
    """Split ``https://...#sha256=HEX``.

    Raises:
        WrongWeightsError: what stands behind ``#`` is no sha256.

    >>> parse_address("https://example.org/a.pth").sha256 is None
    True
    """
    url, mark, fragment = item.partition("#")
    digest = fragment.removeprefix("sha256=").lower()
    if mark and (not fragment.startswith("sha256=") or not re.fullmatch(r"[0-9a-f]{64}", digest)):
        raise WrongWeightsError(f"weights={item}: expected #sha256= and 64 hexadecimal digits at the end.")
    return Address(url, digest if mark else None)


def place(url: str, sha256: str, output_root: Path) -> Path:
    """Where a downloaded file lies: its name behind the beginning of its hash."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name or "weights"
    return output_root / "weights" / f"{sha256[:12]}-{re.sub(r'[^A-Za-z0-9._+-]', '_', name)}"


def member_places(entry: Weights, output_root: Path) -> list[Path]:
    """Where the files taken out of an entry's archive lie."""
    return [output_root / "weights" / entry.name / PurePosixPath(member).name for member, _ in entry.members]


def find_files(item: str, output_root: Path) -> list[Path]:
    """The files that one item of ``weights=`` stands for, verified if it is an address or a name.

    Raises:
        MissingWeightsError: there is none, or it was not downloaded; the message says what to type.
        WrongWeightsError: a downloaded file was changed, or an address is given without its hash.
    """
    path = Path(item)
    if path.is_file():
        return [path]
    if is_address(item):
        address = parse_address(item)
        if address.sha256 is None:
            raise WrongWeightsError(
                f"weights={item}: an address needs its hash, weights='{item}#sha256=...'. If you do not know it: "
                f"{typed('prepare')} weights='{item}' downloads the file and says which hash it has."
            )
        return [_verified(place(address.url, address.sha256, output_root), address.sha256, item)]
    if item in CATALOG:
        return _of_catalog(CATALOG[item], output_root)
    hint = (
        ""
        if path.suffix or len(path.parts) > 1
        else f"{nearest(item, CATALOG)} Names: {typed('prepare')} weights=list."
    )
    raise MissingWeightsError(f"weights={item}: there is no such file (looked in {path.resolve().parent}).{hint}")


def _of_catalog(entry: Weights, output_root: Path) -> list[Path]:
    if entry.url is None:
        raise MissingWeightsError(
            f"weights={entry.name}: its authors publish it where no program can fetch it: download it from "
            f"{entry.page} and give the file."
        )
    if entry.sha256 is None:
        raise WrongWeightsError(
            f"weights={entry.name}: its hash is not known here, so that its name alone vouches for nothing. "
            f"{typed('prepare')} weights={entry.name} downloads it and says what to give instead."
        )
    if not entry.members:
        return [_verified(place(entry.url, entry.sha256, output_root), entry.sha256, entry.name)]
    places = zip(member_places(entry, output_root), entry.members, strict=True)
    return [_verified(path, digest, entry.name) for path, (_, digest) in places]


def _verified(path: Path, sha256: str, item: str) -> Path:
    if not path.is_file():
        raise _missing(path, item)
    found = cached_sha256(path)
    if found != sha256:
        raise WrongWeightsError(f"{path} has sha256 {found}, but {sha256} was expected. Remove it and fetch it again.")
    return path


def _missing(path: Path, item: str) -> MissingWeightsError:
    quoted = f"'{item}'" if is_address(item) else item
    return MissingWeightsError(
        f"weights={item} is not here (looked for {path}). Fetch it: {typed('prepare')} weights={quoted}"
    )
