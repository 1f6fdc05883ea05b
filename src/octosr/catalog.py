"""The facts of the study: its 14 datasets, 5 domains and 5 techniques, under the study's own names.

Source: V. A. de Santiago Júnior, "Evaluating Deep Learning Techniques for Blind Image Super-Resolution
within a High-Scale Multi-Domain Perspective", AI 2023, 4(3), 598-619, doi 10.3390/ai4030032, and the raw
scores published with it (github.com/vsantjr/DL_BlindSR). File names are those of the raw scores; where a
fact could not be established the field says "unknown". Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from octosr.errors import ConfigError, nearest

KAGGLE = "valdivinosantiago/dl-blindsr-datasets"
"""The Kaggle dataset in which the study's images were published."""

KAGGLE_URL = f"https://www.kaggle.com/datasets/{KAGGLE}"

SCALE = 8
"""The study's upscaling factor."""

LR_SIDE = 128
"""Side in pixels of every LR image of the study; the HR side is ``SCALE * LR_SIDE`` = 1024."""

COUNT = 100
"""Number of LR images in every dataset of the study."""

DOMAINS = ("Aerial", "Fauna", "Flora", "Medical", "Satellite")


@dataclass(frozen=True)
class Dataset:
    """One dataset of the study.

    Attributes:
        name: the name in the study's data, and the name of its folder and of its option here.
        code: the four-letter code of the study's tables.
        domain: one of :data:`DOMAINS`.
        title: the source collection as the study names it.
        source: where the images come from, as far as known.
        pattern: regular expression that every LR file stem of the study matches in full.
        example: one of those stems.
        extensions: extensions of the study's LR files as far as known, lower case, without the dot.
        licence: what is known of the source's licence; to be checked before any use beyond research.
        count: number of LR images.
        lr_side: side in pixels of the (square) LR images.
    """

    name: str
    code: str
    domain: str
    title: str
    source: str
    pattern: str
    example: str
    extensions: tuple[str, ...]
    licence: str
    count: int = COUNT
    lr_side: int = LR_SIDE

    def is_study_stem(self, stem: str) -> bool:
        """Whether a file stem looks like one of the study's LR images of this dataset."""
        return re.fullmatch(self.pattern, stem) is not None


@dataclass(frozen=True)
class StudyTechnique:
    """One technique of the study.

    Attributes:
        name: the option's name here, ``technique=NAME``.
        title: the name in the study's tables.
        code: the three-letter code in the study's raw files.
        single_image: True where each HR image belongs to one LR image; False for the two GANs, which are
            trained on a dataset and sampled without any LR input.
    """

    name: str
    title: str
    code: str
    single_image: bool


_UNKNOWN = "unknown"

_DATASETS = (
    Dataset(
        name="condoaerial",
        code="acon",
        domain="Aerial",
        title="Aerial Semantic Segmentation Drone Dataset",
        source="TU Graz, drone photographs of houses and gardens",
        pattern=r"low_\d{3}",
        example="low_000",
        extensions=("jpg",),
        licence=_UNKNOWN,
    ),
    Dataset(
        name="massachbuildings",
        code="amas",
        domain="Aerial",
        title="Massachusetts Buildings",
        source="V. Mnih, 2013, aerial images of the Boston area",
        pattern=r"low_\d+_\d+",
        example="low_22678915_15",
        extensions=("png",),
        licence=_UNKNOWN,
    ),
    Dataset(
        name="ships",
        code="ashi",
        domain="Aerial",
        title="Ship Detection from Aerial Images",
        source="Kaggle",
        pattern=r"low_boat\d+",
        example="low_boat0",
        extensions=("png",),
        licence=_UNKNOWN,
    ),
    Dataset(
        name="ufsm-flame",
        code="aufs",
        domain="Aerial",
        title="Drone Images from UFSM and FLAME",
        source="drone images of UFSM and of the FLAME pile burns (Arizona, 2020)",
        pattern=r"low_(DJI_|lake_resized_lake_frame|resized_frame|resized_test_fire_frame)\d+",
        example="low_DJI_0002",
        extensions=("jpg",),
        licence=_UNKNOWN,
    ),
    Dataset(
        name="catsfaces",
        code="fcat",
        domain="Fauna",
        title="Cats Faces",
        source="Kaggle, 15 of the 100 from Unsplash by their names",
        pattern=r"low_\w[\w-]*",
        example="low_0",
        extensions=("jpg",),
        licence=_UNKNOWN,
    ),
    Dataset(
        name="dogsfaces",
        code="fdog",
        domain="Fauna",
        title="Dogs Faces",
        source="Kaggle",
        pattern=r"low_\d+(_jmv)?",
        example="low_0",
        extensions=("jpg",),
        licence=_UNKNOWN,
    ),
    Dataset(
        name="flowers",
        code="fflw",
        domain="Flora",
        title="102 Category Flower",
        source="Visual Geometry Group, University of Oxford",
        pattern=r"low_image_\d{5}",
        example="low_image_00001",
        extensions=("jpg",),
        licence=_UNKNOWN,
    ),
    Dataset(
        name="plantpat",
        code="fplp",
        domain="Flora",
        title="Plant Pathology 2021 FGVC8",
        source="Cornell University through Kaggle, apple leaves; files renumbered by the study",
        pattern=r"low_\d+",
        example="low_0",
        extensions=("jpg",),
        licence="rules of the Kaggle competition",
    ),
    Dataset(
        name="melanomaisic",
        code="mmel",
        domain="Medical",
        title="SIIM-ISIC Melanoma Classification",
        source="ISIC 2020, skin lesions",
        pattern=r"low_ISIC_\d{7}",
        example="low_ISIC_0052060",
        extensions=("jpg",),
        licence="CC BY-NC as far as known",
    ),
    Dataset(
        name="structretina",
        code="mstr",
        domain="Medical",
        title="Structured Analysis of the Retina",
        source="STARE, retinal photographs",
        pattern=r"low_im\d{4}",
        example="low_im0001",
        extensions=("jpg",),
        licence=_UNKNOWN,
    ),
    Dataset(
        name="amazonia1",
        code="sama",
        domain="Satellite",
        title="Cloudless scene, Amazonia-1",
        source="INPE, tiles of one WFI scene (2021-11-12, path 035, row 020)",
        pattern=r"AMAZONIA1_WFI_20211112_035_020_L\d+",
        example="AMAZONIA1_WFI_20211112_035_020_L41035",
        extensions=("jpeg",),
        licence="free data of INPE; exact terms unknown",
    ),
    Dataset(
        name="cbers4a",
        code="scbe",
        domain="Satellite",
        title="Scene with clouds, CBERS-4A",
        source="INPE, tiles of one scene (2021-09-11, path 208, row 127)",
        pattern=r"20210911_208_127_L\d+",
        example="20210911_208_127_L41428",
        extensions=("jpg",),
        licence="free data of INPE; exact terms unknown",
    ),
    Dataset(
        name="deepglobe",
        code="sdee",
        domain="Satellite",
        title="Forest Aerial Images for Segmentation",
        source="Kaggle set cut from DeepGlobe",
        pattern=r"low_\d+_sat_\d{2}",
        example="low_111335_sat_00",
        extensions=("jpg",),
        licence=_UNKNOWN,
    ),
    Dataset(
        name="isaid",
        code="sisa",
        domain="Satellite",
        title="Instance Segmentation in Aerial Images",
        source="iSAID, annotations over DOTA images",
        pattern=r"low_P\d{4}",
        example="low_P0033",
        extensions=("png",),
        licence="DOTA: academic use only; Google Earth terms",
    ),
)

DATASETS: Mapping[str, Dataset] = MappingProxyType({dataset.name: dataset for dataset in _DATASETS})
"""The 14 datasets by name, in the order of the study's tables."""

TECHNIQUES: Mapping[str, StudyTechnique] = MappingProxyType(
    {
        technique.name: technique
        for technique in (
            StudyTechnique("apa", "APA", "apa", single_image=False),
            StudyTechnique("blindsr", "BlindSR", "bli", single_image=True),
            StudyTechnique("dan", "DAN", "dan", single_image=True),
            StudyTechnique("fastgan", "FastGAN", "fas", single_image=False),
            StudyTechnique("moesr", "MoESR", "moe", single_image=True),
        )
    }
)
"""The 5 techniques by name, in the order of the study's tables."""


def find(name: str) -> Dataset:
    """The dataset of that name.

    Raises:
        ConfigError: there is none; the message names the nearest one, or all 14.
    """
    if name in DATASETS:
        return DATASETS[name]
    hint = nearest(name.lower(), DATASETS) or f" The study's datasets are: {', '.join(DATASETS)}."
    raise ConfigError(f"The study has no dataset named {name!r}.{hint}")
