"""Seconds until a folder of images is ready: decoded, decoded and kept on disk, and kept by an earlier run.

python benchmarks/decoded.py FOLDER
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from octosr.data.bank import load_bank
from octosr.data.decoded import kept_bank

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")


def main() -> None:
    """Three starts in a row, three times."""
    paths = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix.lower() in ENDINGS)
    best: dict[str, float] = {}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as name:
            kept = partial(kept_bank, Path(name), paths, "", 2**40, lambda: load_bank(paths))
            for what, start in (("decoded", lambda: load_bank(paths)), ("and kept", kept), ("kept", kept)):
                before = time.perf_counter()
                bank = start()
                int(bank.pixels[::4096].sum())  # every page is looked at
                best[what] = min(best.get(what, 1e9), time.perf_counter() - before)
    print(f"{len(bank)} images, {bank.nbytes / 2**20:.0f} MB of pixels")
    for what, seconds in best.items():
        print(f"{what:9} {seconds:7.3f} s")


if __name__ == "__main__":
    main()
