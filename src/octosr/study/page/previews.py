"""Small pictures inside the page, within a budget of bytes.

The policy: for each dataset the most telling images (see :mod:`octosr.study.page.picks`) are embedded from every
source, one round over all datasets after the other, until the budget or the number of files is used up. How large the
pictures are is settled first, on a few samples: the largest step of :data:`LADDER` at which the planned rounds fit.
Nothing depends on time or on the number of processors, so the same images give the same page.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from octosr.study.page.catalogue import Catalogue, Item, Source
from octosr.study.page.pictures import data_uri

LADDER = ((1024, 80), (768, 78), (640, 75), (512, 72), (448, 68), (384, 62), (320, 55), (256, 50))
"""Steps of (side in pixels, WebP quality), finest first."""

SCALE = 8


@dataclass(frozen=True)
class Limits:
    """Budgets of the explorer.

    Attributes:
        bytes: characters of all embedded pictures together, as base64.
        files: image files decoded for previews, which bounds the time.
        rounds: images embedded of each dataset at most.
        planned: images of each dataset that must fit when the size of the pictures is chosen.
        tiles: thumbnails in the list of images at most, over all datasets.
        threads: files read at the same time (decoder and encoder run outside Python's lock).
    """

    bytes: int = 12_000_000
    files: int = 600
    rounds: int = 24
    planned: int = 8
    tiles: int = 3000
    threads: int = 2


@dataclass
class Preview:
    """The embedded pictures of one image.

    Attributes:
        dataset: index of the dataset.
        item: index of the image in it.
        uris: data URI by index of the source.
        kernels: data URIs of kernel pictures by index of the source.
        size: width and height of the HR image, if one was read.
    """

    dataset: int
    item: int
    uris: dict[int, str] = field(default_factory=dict)
    kernels: dict[int, list[str]] = field(default_factory=dict)
    size: tuple[int, int] | None = None

    @property
    def bytes(self) -> int:
        """Characters it takes in the page."""
        return sum(map(len, self.uris.values())) + sum(len(u) for uris in self.kernels.values() for u in uris) + 80


@dataclass
class Embedded:
    """What :func:`embed` made: previews, most important first, the step of the ladder, and files that failed."""

    previews: list[Preview]
    step: tuple[int, int]
    problems: dict[Path, str]


def embed(catalogue: Catalogue, order: Sequence[Sequence[int]], limits: Limits) -> Embedded:
    """Make previews within the budget.

    Args:
        catalogue: all images.
        order: for each dataset, its images with the most telling first.
        limits: the budgets.
    """
    problems: dict[Path, str] = {}
    # An image without any file has nothing to embed: the next one takes its place.
    order = [
        [i for i in indices if data.items[i].files] for indices, data in zip(order, catalogue.datasets, strict=True)
    ]
    rounds = [
        [(d, indices[r]) for d, indices in enumerate(order) if r < len(indices)]
        for r in range(max(0, min(limits.rounds, max(map(len, order), default=0))))
    ]
    with ThreadPoolExecutor(limits.threads) as pool:
        step = _choose_step(catalogue, rounds, limits, pool, problems)
        made: list[Preview] = []
        used = files = 0
        for members in rounds:
            files += sum(len(catalogue.datasets[d].items[i].files) for d, i in members)
            if made and files > limits.files:
                break
            jobs = [(d, i, catalogue.datasets[d].items[i], catalogue.sources, step) for d, i in members]
            for preview, failed in pool.map(lambda job: make_preview(*job), jobs):
                problems |= failed
                if preview.uris and used + preview.bytes <= limits.bytes:
                    made.append(preview)
                    used += preview.bytes
            if used > 0.98 * limits.bytes:
                break
    return Embedded(made, step, problems)


def _choose_step(
    catalogue: Catalogue,
    rounds: list[list[tuple[int, int]]],
    limits: Limits,
    pool: ThreadPoolExecutor,
    problems: dict[Path, str],
) -> tuple[int, int]:
    first = rounds[0] if rounds else []
    samples = first[:: max(1, len(first) // 4)][:4]
    planned = sum(len(catalogue.datasets[d].items[i].files) for members in rounds[: limits.planned] for d, i in members)
    read = list(pool.map(lambda sample: read_item(catalogue.datasets[sample[0]].items[sample[1]]), samples))
    for _, failed in read:
        problems |= failed
    pictures = max(1, sum(len(images) for images, _ in read))
    for step in LADDER:
        encode = partial(encode_item, sources=catalogue.sources, step=step)
        made = pool.map(encode, [Preview(0, 0) for _ in read], [images for images, _ in read])
        total = sum(preview.bytes for preview in made)
        if total / pictures * planned <= limits.bytes:
            return step
    return LADDER[-1]


def make_preview(
    dataset: int, index: int, item: Item, sources: Sequence[Source], step: tuple[int, int]
) -> tuple[Preview, dict[Path, str]]:
    """Encode one image from all its sources; files that cannot be read are named with the reason."""
    images, problems = read_item(item)
    preview = encode_item(Preview(dataset, index), images, sources, step)
    for s, paths in item.kernels.items():
        preview.kernels[s] = [data_uri("image/png", path.read_bytes()) for path in paths if _is_small(path)]
    return preview, problems


def read_item(item: Item) -> tuple[dict[int, Image.Image], dict[Path, str]]:
    """All pictures of one image by index of the source, and the files that cannot be read with the reason."""
    images, problems = {}, {}
    for s, path in item.files.items():
        try:
            with Image.open(path) as opened:
                images[s] = to_rgb(opened)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
            problems[path] = f"{type(error).__name__}: {error}"
    return images, problems


def encode_item(
    preview: Preview, images: dict[int, Image.Image], sources: Sequence[Source], step: tuple[int, int]
) -> Preview:
    """Put the pictures of one image into its preview."""
    for s, image in images.items():
        preview.uris[s] = _encoded(image, sources[s].kind, step)
        if sources[s].kind in ("technique", "reference"):
            preview.size = preview.size or image.size
    return preview


def _is_small(path: Path) -> bool:
    return path.stat().st_size < 20_000


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, whatever it was; of 16-bit images the upper byte."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGB")


def _encoded(image: Image.Image, kind: str, step: tuple[int, int]) -> str:
    side, quality = step
    stream = io.BytesIO()
    if kind == "lr":
        # Shown with its pixels visible: full colour resolution, and no size reduction up to 256 pixels.
        fitted(image, max(256, side // SCALE)).save(stream, "JPEG", quality=quality + 10, subsampling=0)
        return data_uri("image/jpeg", stream.getvalue())
    if kind == "bicubic" and max(image.size) <= 512:
        image = image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.BICUBIC)
    fitted(image, side).save(stream, "WEBP", quality=quality, method=2)
    return data_uri("image/webp", stream.getvalue())


def fitted(image: Image.Image, side: int) -> Image.Image:
    """The image itself, or reduced so that its longer side is `side`."""
    if max(image.size) <= side:
        return image
    if image.width % side == image.height % side == 0:
        return image.reduce(max(image.size) // side)  # as good for whole factors, and several times as fast
    factor = side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def preview_bytes(previews: Sequence[Preview]) -> int:
    """Characters of all of them."""
    return sum(preview.bytes for preview in previews)


def by_dataset(previews: Sequence[Preview], count: int) -> list[dict[int, Preview]]:
    """The previews of each dataset by index of the image."""
    grouped: list[dict[int, Preview]] = [{} for _ in range(count)]
    for preview in previews:
        grouped[preview.dataset][preview.item] = preview
    return grouped
