"""What pairs images over techniques: the stem of the LR image they were made from."""

from __future__ import annotations

import re

from octosr.study.names import is_generative

_EXTENSION = re.compile(r"\.(png|jpe?g|bmp|tiff?|webp|gif|jp2)$", re.IGNORECASE)
# The study appends the scale of every pass, and `_res` to the 224-pixel copies that MANIQA was given.
_PASSES = re.compile(r"(_x\d+)+$")
_SEED = re.compile(r"seed\d+")


def lr_stem(file: str) -> str:
    """The LR image's stem from the name of a result as the study's programs write it.

    >>> lr_stem("low_000_x2_x4_res.png"), lr_stem("low_DJI_0002_x2_x4.png"), lr_stem("low_000_res.png")
    ('low_000', 'low_DJI_0002', 'low_000')
    >>> lr_stem("low_lake_resized_lake_frame864_x2_x4_res.png")
    'low_lake_resized_lake_frame864'
    """
    return _PASSES.sub("", _EXTENSION.sub("", file).removesuffix("_res"))


def pairing_key(technique: str, stem: str, *, generated: bool = False) -> str:
    """The ``image`` of a tidy frame: the LR stem, or a name of its own for images that were made from no LR image.

    Args:
        technique: the study's GANs always generate.
        stem: the LR image's stem, or the number or seed of a generated image.
        generated: the image is known to be made from no LR image.

    Generated images are numbered (``17``) or named after their seed (``seed1000``): equal names of two generators mean
    nothing, so their key starts with the technique and pairs with no other.

    >>> pairing_key("dan", "low_0"), pairing_key("fastgan", "0"), pairing_key("my_gan", "seed1000")
    ('low_0', 'fastgan:0', 'my_gan:seed1000')
    """
    alone = generated or is_generative(technique) or _SEED.fullmatch(stem) is not None
    return f"{technique}:{stem}" if alone else stem
