"""Generated images as sets: are they varied, and are they not copies of what they were learned from?"""

from __future__ import annotations

from typing import Literal

import pandas as pd

from octosr.study import names
from octosr.study.document import Gate, Section, Table
from octosr.study.inputs.diversity import Generated, GeneratedSet
from octosr.study.sections.common import figure, listed, plural

_COLUMNS = (
    "technique", "dataset", "samples", "distance", "pairs", "nearest", "gap", "copies", "FID", "KID", "verdict",
)  # fmt: skip
SHOWN = 8
"""Samples of each dataset in a figure."""


def generated_images(generated: Generated) -> Section:
    """Diversity of each generative technique on each dataset, the nearest training images, and grids of samples."""
    section = Section("generated", "Generated images as sets")
    section.paragraphs.append(
        "A generative technique makes its images from seeds and not from LR images, so no image of it pairs with "
        "another technique's, and PSNR, SSIM, LPIPS and LR consistency are not applicable. What can be asked of it is "
        "whether the images are varied (else it has collapsed) and whether they are new (else it has memorised)."
    )
    section.paragraphs += [f"{file} is damaged ({why}); run eval.py again." for file, why in generated.damaged.items()]
    section.gates.append(_gate(generated))
    section.tables.append(_diversity(generated))
    copies = _copies(generated)
    if len(copies):
        section.tables.append(
            Table(
                "generated-nearest",
                "The samples nearest to a training image",
                copies,
                caption="The nearest sample of each cell, with its training image (or that image mirrored). ratio: the "
                "distance, over what a real image has to the nearest other one.",
                digits={"distance": 3, "ratio": 3},
            )
        )
    if generated.hr is not None:
        for technique in names.technique_order({g.technique for g in generated.sets}):
            sets = [found for found in generated.sets if found.technique == technique]
            own = {found.dataset: [sample for sample, _, _ in found.nearest[:SHOWN]] for found in sets}
            folder = generated.hr / technique
            section.figures.append(
                figure(
                    f"samples-{_key(technique)}",
                    f"{names.title(technique)}: samples of the first seeds",
                    "sample_mosaic",
                    {d: [folder / d / f"{name}.png" for name in own[d]] for d in names.dataset_order(own)},
                    technique=technique,
                    caption="A row a dataset, not chosen: the first seeds. Reduced to thumbnails.",
                    alt=f"Rows of images that {names.title(technique)} generated, one row a dataset.",
                )
            )
    return section


def _key(technique: str) -> str:
    return "".join(c if c == "_" or (c.isascii() and c.isalnum()) else f"-{ord(c):x}-" for c in technique)


def _gate(generated: Generated) -> Gate:
    question = "Are generated images varied, and not copies of training images?"
    told = [g for g in generated.sets if any(f["pairwise_ratio"] is not None for f in g.distances.values())]
    if not told:
        return Gate("gate-generated", question, "unknown", "Nothing was measured, or the real images do not differ.")
    bad = {
        word: [g for g in told if any(line.startswith(word) for _, _, line in g.findings)]
        for word in ("mode collapse", "memorisation", "unlike the training images")
    }
    outcome: Literal["pass", "warn"] = "warn" if any(bad.values()) else "pass"
    parts = [
        f"{word} in {plural(len(sets), 'cell')} of {len(told)}: {listed(_cell_words(g, word) for g in sets)}"
        for word, sets in bad.items()
        if sets
    ]
    finding = "; ".join(parts) or f"neither collapse nor memorisation in {plural(len(told), 'cell')}"
    return Gate("gate-generated", question, outcome, f"{finding[0].upper()}{finding[1:]}.")


def _cell_words(found: GeneratedSet, word: str) -> str:
    severity, distance, _ = next(f for f in found.findings if f[2].startswith(word))
    ratio = found.distances[distance]["pairwise_ratio" if word == "mode collapse" else "nearest_ratio"]
    value = "" if ratio is None else f" ({ratio:.2f}x{', failed' if severity == 'fail' else ''})"
    return f"{names.title(found.technique)} on {found.dataset}{value}"


def _diversity(generated: Generated) -> Table:
    rows = []
    for found in _ordered(generated):
        for distance, figures in found.distances.items():
            worst = sorted(
                (severity, line.split(":")[0]) for severity, where, line in found.findings if where == distance
            )
            rows.append(
                {
                    "technique": names.title(found.technique),
                    "dataset": found.dataset,
                    "samples": found.samples,
                    "distance": distance,
                    "pairs": figures["pairwise_ratio"],
                    "nearest": figures["nearest_ratio"],
                    "gap": figures["gap"],
                    "copies": figures["copies"],
                    "FID": found.fid,
                    "KID": found.kid,
                    "verdict": ", ".join(f"{word} ({severity})" for severity, word in worst) or "fine",
                }
            )
    columns = [
        "technique",
        "dataset",
        "samples",
        "distance",
        "pairs",
        "nearest",
        "gap",
        "copies",
        "FID",
        "KID",
        "verdict",
    ]
    frame = pd.DataFrame(rows, columns=columns)
    reasons: dict[str, set[str]] = {}
    for found in generated.sets:
        for name, reason in found.missing.items():
            reasons.setdefault(reason, set()).add(name.upper())
    why = "".join(f" Not available: {listed(sorted(missing))}. {reason}" for reason, missing in sorted(reasons.items()))
    return Table(
        "generated-diversity",
        "Diversity of the generated images against the real ones",
        frame,
        caption="pairs: mean distance of two samples over that of two real images; 1 is as varied, 0 all the same. "
        "nearest: median distance of a sample to the nearest training image or its mirror image, over the same between "
        "real images; 0 is a copy, far above 1 something else. gap: energy distance of samples and real images over "
        "the mean distance of two real images; about 0 where the sets are of one kind, and the only one of these that "
        "says how like the real images the samples are. copies: share of the samples below 0.2 of nearest. "
        "distance: octaves needs no network and compares images octave by octave; lpips is learned. FID is biased with "
        "a hundred images, KID is not." + why,
        digits={"pairs": 3, "nearest": 3, "gap": 3, "copies": 2, "FID": 2, "KID": 4},
    )


def _copies(generated: Generated) -> pd.DataFrame:
    rows = []
    for found in _ordered(generated):
        reals = found.distances.get("octaves", {}).get("nearest_reals")
        if found.nearest:
            sample, training, distance = min(found.nearest, key=lambda item: item[2])
            ratio = distance / reals if reals else None
            rows.append((names.title(found.technique), found.dataset, sample, training, distance, ratio))
    return pd.DataFrame(rows, columns=["technique", "dataset", "sample", "training image", "distance", "ratio"])


def _ordered(generated: Generated) -> list[GeneratedSet]:
    techniques = names.technique_order({g.technique for g in generated.sets})
    datasets = names.dataset_order({g.dataset for g in generated.sets})
    return sorted(generated.sets, key=lambda g: (datasets.index(g.dataset), techniques.index(g.technique)))
