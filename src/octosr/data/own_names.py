"""Names for images that come from anywhere: short, unique on every disk, and safe in file names."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

LONGEST = 100
"""Characters of a stem; with its suffixes (``.kernel.npy`` and the like) it fits every file system."""


def unique_stems(sources: Sequence[str]) -> list[str]:
    """A stem for each source: the file's own, with its folders before it where two files share one.

    Args:
        sources: different paths with ``/``.

    >>> unique_stems(["a/one.png", "b/one.jpg", "b/two.jpg", "b/two.png"])
    ['a_one', 'b_one', 'b_two', 'b_two_2']
    """
    plain = [_cleaned(PurePosixPath(source).stem) for source in sources]
    shared = Counter(_folded(stem) for stem in plain)
    wanted = [
        _cleaned("_".join(PurePosixPath(source).with_suffix("").parts)) if shared[_folded(stem)] > 1 else stem
        for source, stem in zip(sources, plain, strict=True)
    ]
    taken: set[str] = set()
    stems = []
    for stem in wanted:
        unique, number = stem, 1
        while _folded(unique) in taken:
            number += 1
            unique = f"{stem}_{number}"
        taken.add(_folded(unique))
        stems.append(unique)
    return stems


def _cleaned(stem: str) -> str:
    """Without characters that some file system refuses; a cut name ends in a hash of the whole."""
    clean = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]', "_", stem).strip(" .") or "image"
    if len(clean.encode()) <= LONGEST:
        return clean
    digest = hashlib.sha256(stem.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{clean.encode()[: LONGEST - 9].decode(errors='ignore')}_{digest}"


def _folded(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()
