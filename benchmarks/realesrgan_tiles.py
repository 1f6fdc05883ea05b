"""What it costs that tiles of Real-ESRGAN make exactly what the whole image would.

    python benchmarks/realesrgan_tiles.py --image PHOTO --size 131 173 --tiles 32 64
    python benchmarks/realesrgan_tiles.py --image PHOTO --size 24 900 --tiles 128 --no-blend

The image as a whole, in exact tiles (the network's blocks one after the other, each over the whole image), and in
tiles with a halo of 32 pixels that are blended, as networks of unknown reach are; all in turns in one process, the
processor's time. Differences are from the whole image, as numbers in [0, 1] and after rounding to 8 bits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import octosr._torchvision  # noqa: F401  (before spandrel, which imports torchvision)

# isort: split
import torch
from torch import Tensor

from octosr.data.decode import read_image
from octosr.prediction.tiling import ArraySource, ListSink, upscale
from octosr.techniques.fixed_scale import FixedScale
from octosr.techniques.realesrgan.module import RealESRGAN


class Blended(RealESRGAN):
    """As a network of unknown reach."""

    def _parts(self) -> list[object]:  # type: ignore[override]
        return []


def technique(kind: type[FixedScale]) -> FixedScale:
    """The real network."""
    made = kind("realesrgan")
    made.load_weights(RealESRGAN.own_weights({"variant": "x4plus"}))
    return made


def in_tiles(kind: FixedScale, lr: Tensor, side: int) -> Tensor:
    """The enlarged image, (3, 8h, 8w)."""
    sink = ListSink()
    upscale(kind, ArraySource(lr), sink, tile=side)
    return sink.image()


def main() -> None:
    """Print one line a way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--size", nargs=2, type=int, default=[131, 173], help="height and width of the part to use")
    parser.add_argument("--tiles", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--blend", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    height, width = options.size
    lr = torch.from_numpy(read_image(options.image)).permute(2, 0, 1)[:, :height, :width]
    assert lr.shape == (3, height, width), f"the image has only {tuple(lr.shape[1:])} pixels"
    exact, blended = technique(RealESRGAN), technique(Blended)
    ways: dict[str, Callable[[], Tensor]] = {"whole": lambda: in_tiles(exact, lr, max(height, width))}
    for side in options.tiles:
        ways[f"exact {side}"] = lambda side=side: in_tiles(exact, lr, side)  # type: ignore[misc]
        if options.blend and side >= 64:
            ways[f"blended {side}"] = lambda side=side: in_tiles(blended, lr, side)  # type: ignore[misc]
    seconds, results = dict.fromkeys(ways, 0.0), {}
    for _ in range(options.rounds):
        for name, way in ways.items():
            start = time.process_time()
            results[name] = way()
            seconds[name] += time.process_time() - start
    whole = results["whole"]
    eight = (whole.clamp(0, 1) * 255).round()
    for name, result in results.items():
        levels = ((result.clamp(0, 1) * 255).round() - eight).abs().max()
        print(
            f"{name:<12} {seconds[name] / options.rounds:7.1f} s, {seconds[name] / seconds['whole']:.2f} of the whole; "
            f"differs by {(result - whole).abs().max():.1e}, {levels:.0f}/255"
        )


if __name__ == "__main__":
    main()
