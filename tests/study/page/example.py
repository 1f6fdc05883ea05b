"""A small study with real photographs: scores, images on disk, a document. The scores are measured on the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from octosr.study.document import Document, Figure, Gate, Section, Table

XSS = "<img src=x onerror=alert(1)>"
DIRECTIONS = {"niqe": False, "maniqa": True}
TITLES = {"bicubic": "Bicubic", "lanczos": "Lanczos", "dan": "DAN", "moesr": "MoESR", "fastgan": "FastGAN"}
COLOURS = {"bicubic": "#000000", "lanczos": "#009e73", "dan": "#0072b2", "moesr": "#d55e00", "fastgan": "#cc79a7"}
DOMAINS = {"isaid": "Satellite", "catsfaces": "Fauna", "structretina": "Medical", "holiday": "Other"}


def super_resolve(lr: Image.Image, technique: str, scale: int) -> Image.Image:
    """Stand-ins for techniques that differ visibly: interpolation, with and without sharpening."""
    size = (lr.width * scale, lr.height * scale)
    filters = {"bicubic": Image.Resampling.BICUBIC, "fastgan": Image.Resampling.BILINEAR}
    image = lr.resize(size, filters.get(technique, Image.Resampling.LANCZOS))
    if technique == "dan":
        image = image.filter(ImageFilter.UnsharpMask(radius=6, percent=160, threshold=1))
    if technique == "moesr":
        image = image.filter(ImageFilter.UnsharpMask(radius=9, percent=110, threshold=0)).filter(ImageFilter.DETAIL)
    return image


def measure(image: Image.Image) -> dict[str, float]:
    """Two numbers of an image that behave like NIQE (lower is better) and MANIQA (higher is better)."""
    grey = np.asarray(image.convert("L"), dtype=float)
    edges = float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
    return {"niqe": 24 - 2.2 * np.log1p(edges), "maniqa": float(1 / (1 + np.exp(-edges / 6)))}


def make_study(folder: Path, lr_files: Sequence[Path], scale: int = 8, samples: int = 3) -> pd.DataFrame:
    """Write ``data/`` and ``hr/`` under a folder and return the tidy frame.

    Args:
        folder: where to write.
        lr_files: photographs, shared out over the datasets; one gets a hostile name.
        scale: upscaling factor of the pretended techniques.
        samples: images that the pretended GAN generates of each dataset.
    """
    rows: list[dict[str, object]] = []
    names = list(DOMAINS)
    for k, file in enumerate(lr_files):
        dataset = names[k % len(names)]
        name = XSS if k == len(lr_files) - 1 else file.stem
        with Image.open(file) as opened:
            lr = opened.convert("RGB")
        target = folder / "data" / dataset / "LR" / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        lr.save(target)
        for technique in ("bicubic", "lanczos", "dan", "moesr"):
            rows += _made(folder, dataset, technique, name, super_resolve(lr, technique, scale))
        if k // len(names) < samples:
            sample = super_resolve(lr.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "fastgan", scale)
            rows += _made(folder, dataset, "fastgan", f"seed{k // len(names):04d}", sample)
    kernel = Image.fromarray((255 * np.outer(np.hanning(21), np.hanning(21))).astype(np.uint8))
    for image in sorted((folder / "hr" / "dan").rglob("*.png")):
        kernel.save(image.with_name(f"{image.stem}.kernel.png"))
    return pd.DataFrame(rows)


def _made(folder: Path, dataset: str, technique: str, name: str, image: Image.Image) -> list[dict[str, object]]:
    path = folder / "hr" / technique / dataset / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, compress_level=1)
    cell = {"technique": technique, "dataset": dataset, "domain": DOMAINS[dataset], "image": name, "file": path.name}
    return [cell | {"metric": metric, "value": value} for metric, value in measure(image).items()]


def make_document(frame: pd.DataFrame) -> Document:
    """A document as the analyses make it, with every kind of part."""
    means = frame.pivot_table(index=["dataset", "domain"], columns=["metric", "technique"], values="value")
    niqe = means["niqe"].reset_index().rename(columns=TITLES)
    titles = [TITLES[name] for name in means["niqe"].columns]
    images = frame[frame["metric"] == "niqe"].pivot_table(
        index=["dataset", "image"], columns="technique", values="value"
    )
    wide = images.reset_index().rename(columns=TITLES)
    overview = pd.DataFrame(
        {
            "technique": titles,
            "mean NIQE": [niqe[title].mean() for title in titles],
            "images": [int(wide[title].notna().sum()) for title in titles],
            "p value": [0.0000012, 0.03, float("nan"), 0.9, 0.25][: len(titles)],
            "complete": [True, True, False, True, True][: len(titles)],
        }
    )

    def draw() -> object:
        from matplotlib.figure import Figure as Drawing

        drawing = Drawing(figsize=(7, 3), layout="constrained")
        axes = drawing.subplots()
        for k, title in enumerate(titles):
            axes.plot(niqe["dataset"], niqe[title], "o-", color=COLOURS[means["niqe"].columns[k]], label=title)
        axes.legend(frameon=False)
        axes.set_ylabel("NIQE")
        return drawing

    return Document(
        title="Eight times larger: what the scores say",
        summary=[
            "MoESR has the lowest mean NIQE on all datasets; the lead over DAN is a tie on one of them.",
            "Plain bicubic interpolation lies within the range of the trained techniques: NIQE alone proves little.",
            "Scores of 3 techniques are complete; one is missing on one dataset.",
        ],
        sections=[
            Section(
                "gates",
                "Can these scores be trusted?",
                ["Before any ranking: checks that would unmask a metric or a table that does not measure quality."],
                gates=[
                    Gate(
                        "direction", "Does blurring make every metric worse?", "pass", "NIQE rises on 21 of 21 images."
                    ),
                    Gate(
                        "bicubic",
                        "Is plain bicubic behind every trained technique?",
                        "warn",
                        "No: it is third of five.",
                    ),
                    Gate(
                        "noise",
                        "Does adding noise improve a metric?",
                        "unknown",
                        "No scores of noisy images were given.",
                    ),
                ],
            ),
            Section(
                "means",
                "Which technique is best?",
                ["Means over the images of each dataset. Lower NIQE is better."],
                tables=[
                    Table(
                        "overview",
                        "Overview",
                        overview,
                        "One row a technique.",
                        {"mean NIQE": 3, "p value": 3},
                        {"mean NIQE": "min"},
                    ),
                    Table("niqe", "NIQE by dataset", niqe, "", dict.fromkeys(titles, 3), best_in_row=(titles, "min")),
                ],
                figures=[Figure("lines", "NIQE by dataset", draw, "One line a technique.", "Lines of mean NIQE.")],
            ),
            Section(
                "images",
                "Every image",
                [],
                tables=[Table("images", "NIQE of every image", wide, "", dict.fromkeys(titles, 3), missing="-")],
            ),
        ],
        facts={"octosr": "0.1.0", "inputs": ["outputs/scores"], "images": len(wide), "versions": {"pandas": "3.1.1"}},
    )
