"""Names: how techniques, datasets and metrics are called in files, in frames and in print; directions of metrics."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

import pandas as pd

from octosr.catalog import DATASETS, TECHNIQUES

_TECHNIQUE_TITLES = MappingProxyType(
    {technique.name: technique.title for technique in TECHNIQUES.values()}
    | {
        "nearest": "Nearest",
        "bilinear": "Bilinear",
        "bicubic": "Bicubic",
        "lanczos": "Lanczos",
        "bicubic_noise": "Bicubic + noise",
        "realesrgan": "Real-ESRGAN",
    }
)
_METRIC_TITLES = MappingProxyType(
    {
        "niqe": "NIQE",
        "niqe_study": "NIQE (study's variant)",
        "maniqa": "MANIQA",
        "maniqa_study": "MANIQA (study's own weights)",
        "psnr": "PSNR",
        "ssim": "SSIM",
        "lpips": "LPIPS",
        "dists": "DISTS",
        "niqe_basicsr": "NIQE (BasicSR)",
        "maniqa_official": "MANIQA (official protocol)",
        "maniqa_pyiqa": "MANIQA (pyiqa protocol)",
        "psnr_y": "PSNR-Y",
        "ssim_y": "SSIM-Y",
        "ms_ssim": "MS-SSIM",
        "lr_consistency": "LR consistency",
        "rms_contrast": "RMS contrast",
        "tenengrad": "Tenengrad",
        "laplacian_variance": "Variance of the Laplacian",
    }
)
# Directions of metrics in files that do not say them (a bare CSV); the score store does.
_HIGHER_IS_BETTER = MappingProxyType(
    {
        **dict.fromkeys(("niqe", "niqe_study", "niqe_basicsr"), False),
        **dict.fromkeys(("maniqa", "maniqa_study", "maniqa_official", "maniqa_pyiqa"), True),
        **dict.fromkeys(("psnr", "psnr_y", "ssim", "ssim_y", "ms_ssim", "lr_consistency"), True),
        "lpips": False,
        "dists": False,
        "brisque": False,
        "piqe": False,
        "musiq": True,
        "clipiqa": True,
    }
)
DESCRIPTIVE = frozenset({"rms_contrast", "tenengrad", "laplacian_variance"})
"""Columns that describe an image without judging it: never ranked."""

NEEDS_REFERENCE = frozenset({"psnr", "psnr_y", "ssim", "ssim_y", "ms_ssim", "lpips", "dists", "lr_consistency"})
"""These compare with an HR or LR image: generated images have none by nature, datasets without references neither."""

# The study's slides write some datasets in more than one way.
_DATASET_SPELLINGS = MappingProxyType(
    {"melanomaistic": "melanomaisic", "massachusetts": "massachbuildings", "condoerial": "condoaerial"}
)
OTHER_DOMAIN = "Other"


def title(technique: str) -> str:
    """How a technique is called in print.

    >>> title("moesr"), title("bicubic"), title("my_model")
    ('MoESR', 'Bicubic', 'my_model')
    """
    return _TECHNIQUE_TITLES.get(technique, technique)


def titles(techniques: Iterable[str]) -> dict[str, str]:
    """Titles that are different for different techniques: where two would be equal, the names are kept.

    >>> titles(["dan", "bicubic"]), titles(["dan", "DAN"])
    ({'dan': 'DAN', 'bicubic': 'Bicubic'}, {'dan': 'dan', 'DAN': 'DAN'})
    """
    listed = list(dict.fromkeys(techniques))
    found = [title(t) for t in listed]
    return {t: name if found.count(name) == 1 else t for t, name in zip(listed, found, strict=True)}


def metric_title(metric: str) -> str:
    """How a metric is called in print.

    >>> metric_title("niqe_study"), metric_title("topiq_nr")
    ("NIQE (study's variant)", 'topiq_nr')
    """
    return _METRIC_TITLES.get(metric, metric)


def technique_name(text: str) -> str:
    """The name in a frame of a technique as files write it: the study's and the baselines' in lower case, others as is.

    >>> technique_name("FastGAN"), technique_name("My-Model")
    ('fastgan', 'My-Model')
    """
    lower = text.strip().lower()
    return lower if lower in _TECHNIQUE_TITLES else text.strip()


def dataset_name(text: str) -> str:
    """The name of a dataset, with the spellings of the study's slides brought to those of its data.

    >>> dataset_name("melanomaistic"), dataset_name("ISAID"), dataset_name("holiday")
    ('melanomaisic', 'isaid', 'holiday')
    """
    lower = text.strip().lower()
    lower = _DATASET_SPELLINGS.get(lower, lower)
    return lower if lower in DATASETS else text.strip()


def metric_name(text: str) -> str:
    """The name of a metric: those known here in lower case, others as they are.

    >>> metric_name("NIQE"), metric_name("Q-Align")
    ('niqe', 'Q-Align')
    """
    lower = text.strip().lower()
    return lower if lower in _METRIC_TITLES or lower in _HIGHER_IS_BETTER else text.strip()


def domain_of(dataset: str) -> str:
    """The study's domain of a dataset, ``Other`` for datasets that are not the study's.

    >>> domain_of("isaid"), domain_of("demo")
    ('Satellite', 'Other')
    """
    return DATASETS[dataset].domain if dataset in DATASETS else OTHER_DOMAIN


def usual_direction(metric: str) -> bool | None:
    """Whether a higher value of a metric is better, for metrics known by name; None for others."""
    return _HIGHER_IS_BETTER.get(metric)


def is_interpolation(technique: str) -> bool:
    """Whether a technique has nothing to learn: a baseline.

    >>> is_interpolation("bicubic"), is_interpolation("dan")
    (True, False)
    """
    return technique in ("nearest", "bilinear", "bicubic", "lanczos")


def is_generative(technique: str) -> bool:
    """Whether a technique's images belong to no LR image: the study's two GANs.

    >>> is_generative("apa"), is_generative("dan")
    (True, False)
    """
    return technique in TECHNIQUES and not TECHNIQUES[technique].single_image


def is_probe(technique: str) -> bool:
    """Whether a technique is there to test the metrics (images with noise added), not to be ranked.

    >>> is_probe("bicubic_noise")
    True
    """
    return technique.endswith("_noise")


def probes(techniques: pd.Series) -> pd.Series:
    """Which rows of a column of techniques are probes (bool, same index)."""
    return techniques.isin([t for t in techniques.unique() if is_probe(t)])


def generative(techniques: pd.Series) -> pd.Series:
    """Which rows of a column of techniques are generative (bool, same index)."""
    return techniques.isin([t for t in techniques.unique() if is_generative(t)])


def technique_order(techniques: Iterable[str]) -> list[str]:
    """The study's techniques first, in the order of its tables, then the others by name."""
    return _ordered(techniques, list(TECHNIQUES))


def dataset_order(datasets: Iterable[str]) -> list[str]:
    """The study's datasets first, in the order of its tables, then the others by name."""
    return _ordered(datasets, list(DATASETS))


def metric_order(metrics: Iterable[str]) -> list[str]:
    """The study's two metrics first, then the others by name."""
    return _ordered(metrics, ["niqe_study", "niqe", "maniqa_study", "maniqa"])


def _ordered(names: Iterable[str], first: list[str]) -> list[str]:
    found = set(names)
    return [name for name in first if name in found] + sorted(found.difference(first))
