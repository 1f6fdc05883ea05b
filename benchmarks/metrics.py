"""Our metrics against the public ones: ``python benchmarks/metrics.py [--images FOLDER]``.

Prints time an image, the ratio, the largest difference of the scores, and peak memory where it was measured.
The rows come from the modules beside this file that are named metrics_*.py. No network.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from pathlib import Path


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", help="folder of real images, where rows can use them; else textures are made up")
    parser.add_argument("--only", nargs="*", help="e.g. niqe: only metrics_niqe.py")
    parser.add_argument("--quick", action="store_true", help="fewer images and turns")
    args = parser.parse_args()
    folder = Path(__file__).parent
    sys.path.insert(0, str(folder))
    names = [path.stem.removeprefix("metrics_") for path in sorted(folder.glob("metrics_*.py"))]
    chosen = [name for name in names if not args.only or name in args.only]
    if not chosen:
        raise SystemExit(f"There are rows of {', '.join(names)} only.")
    print(f"{'':48}{'ours':>10}{'reference':>11}{'ratio':>8}{'difference':>19}{'MiB ours/reference':>21}")
    for name in chosen:
        rows = importlib.import_module(f"metrics_{name}").rows
        given = {"images": args.images} if "images" in inspect.signature(rows).parameters else {}
        for row in rows(quick=args.quick, **given):
            difference = f"{row['max_rel_diff']:.1e} rel" if "max_rel_diff" in row else f"{row['max_abs_diff']:.1e} abs"
            memory = f"{row['ours_mib']:.0f} / {row['reference_mib']:.0f}" if "ours_mib" in row else ""
            print(
                f"{row['what']:48}{row['ours_s']:9.4f}s{row['reference_s']:10.4f}s{row['ratio']:8.1f}{difference:>19}"
                f"{memory:>21}  {row['note']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
