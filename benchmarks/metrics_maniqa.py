"""MANIQA against pyiqa on the same random weights: seconds, score differences and crops put through the network.

    python benchmarks/metrics_maniqa.py [--quick]

The two take turns on the same images with the same number of threads, and the best of their turns counts, so that a
busy machine hits both alike. ``rows`` is what ``benchmarks/metrics.py`` collects. Half a gigabyte of weights is written
to a temporary folder; nothing is fetched.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch

import octosr._torchvision  # noqa: F401  (before pyiqa imports torchvision)
from octosr.metrics.functional.maniqa import study_resized
from octosr.metrics.maniqa import Maniqa
from octosr.metrics.maniqa_network import empty_network

Score = Callable[[torch.Tensor], torch.Tensor]


def random_weights(path: Path) -> None:
    """A file in pyiqa's layout, away from the symmetric start so that every layer shows in the score."""
    torch.manual_seed(0)
    network = empty_network(0.8)
    for parameter in network.parameters():
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    torch.save({"params": network.state_dict()}, path)


def pyiqa_metric(weights: Path) -> torch.nn.Module:
    """``pyiqa.create_metric("maniqa")`` on the CPU, kept from downloading the backbone that it overwrites anyway."""
    import pyiqa
    from pyiqa.archs import maniqa_arch

    timm = maniqa_arch.timm
    maniqa_arch.timm = SimpleNamespace(create_model=lambda name, pretrained: timm.create_model(name, pretrained=False))
    try:
        return pyiqa.create_metric("maniqa", device=torch.device("cpu"), pretrained_model_path=str(weights))
    finally:
        maniqa_arch.timm = timm


def picture(height: int, width: int, seed: int) -> torch.Tensor:
    """Smooth colours with a little noise, 8-bit values in [0, 1], (1, 3, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 9, 9, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    noise = 0.05 * torch.randn(1, 3, height, width, generator=generator)
    return ((smooth + noise).clamp(0, 1) * 255).round() / 255


def timed(score: Score, images: list[torch.Tensor]) -> tuple[float, list[float]]:
    """Seconds per image, and the scores."""
    start = time.perf_counter()
    scores = [float(score(image)) for image in images]
    return (time.perf_counter() - start) / len(images), scores


def compare(
    what: str, ours: Maniqa, theirs: Score, images: list[torch.Tensor], seen: list[torch.Tensor], turns: int
) -> dict[str, object]:
    """One row: ours on ``images``, theirs on ``seen`` (the same, or what the study's protocol makes of them)."""
    before = ours.crop_forwards
    runs = [(timed(ours.score, images), timed(theirs, seen)) for _ in range(turns)]
    crops = (ours.crop_forwards - before) // (turns * len(images))
    mine, other = min(run[0][0] for run in runs), min(run[1][0] for run in runs)
    pairs = list(zip(runs[0][0][1], runs[0][1][1], strict=True))
    relative = max(abs(a - b) / abs(b) for a, b in pairs)
    return {
        "what": what,
        "ours_s": mine,
        "reference_s": other,
        "ratio": other / mine,
        "max_abs_diff": max(abs(a - b) for a, b in pairs),
        "note": f"{crops} crop(s) of 20 computed; relative difference {relative:.1e}",
    }


def rows(quick: bool = False) -> list[dict[str, object]]:
    """The table.

    Args:
        quick: one image and one turn a row, and no row that takes minutes.

    Returns:
        one row a comparison: ``what``, ``ours_s`` and ``reference_s`` (seconds an image), ``ratio`` (reference / ours),
        ``max_abs_diff`` (of the scores), ``note``.
    """
    turns = 1 if quick else 3
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        weights = Path(folder) / "random.pt"
        random_weights(weights)
        reference = pyiqa_metric(weights)
        study = Maniqa(weights)
        study.score(picture(224, 224, 0))  # the first forward also builds the network
        large = [picture(512, 512, seed) for seed in range(1 if quick else 2)]
        small = [study_resized(image) for image in large]
        table = [compare("MANIQA study, 512x512 to 224x224", study, reference, large, small, turns)]
        if not quick:
            native = Maniqa(weights, protocol="pyiqa")
            for height, width in ((227, 400), (512, 512), (300, 700)):
                image = [picture(height, width, 7)]
                table.append(compare(f"MANIQA pyiqa, {width}x{height}", native, reference, image, image, turns))
        half = Maniqa(weights, precision="bf16")
        table.append(compare("MANIQA study, bf16 against fp32", half, study.score, large, large, turns))
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one comparison, in a minute")
    table = rows(parser.parse_args().quick)
    print(f"{'':36}{'ours s':>10}{'theirs s':>10}{'ratio':>8}{'max diff':>11}")
    for row in table:
        print(
            f"{row['what']:36}{row['ours_s']:10.2f}{row['reference_s']:10.2f}{row['ratio']:8.2f}"
            f"{row['max_abs_diff']:11.1e}  {row['note']}"
        )
    print(f"seconds per image on the CPU, {torch.get_num_threads()} threads, random weights")


if __name__ == "__main__":
    main()
