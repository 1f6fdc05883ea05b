"""How a technique says in what way its images may be cut into tiles.

A technique enlarges in one or several passes (DAN and MoESR: one a stage). What a pass makes of a pixel depends on the
pixels within a *halo* around it. A tile is given with its halo and the halo's result is thrown away, so that tiles
make what the whole image would; at the image's border a tile ends where the image ends. Before the tiles, everything
that is found once for a whole image (a blur kernel, fine-tuned weights) is found in :meth:`find_context` and given to
all of them.

The halos of passes add up. A deep network would have tiles that are mostly halo; it says instead after which passes
the result is *kept*: made for the whole image, and cut anew for the passes that follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class TilePass:
    """One pass. Passes that are equal take equal memory for tiles of the same size.

    Attributes:
        scale: by how much it enlarges.
        halo: on how many pixels around a pixel of its input the result there depends.
        least: sides that its input needs at least; smaller tiles of larger images are given more of the image.
        multiple: the input's sides are multiples of this where the image is large enough.
        kept: its result, of any number of channels, is made for the whole image before the next pass begins.
        work: what a pixel of its input costs beside other passes; for the progress bar.
    """

    scale: int
    halo: int
    least: int = 1
    multiple: int = 1
    kept: bool = False
    work: float = 1.0


@dataclass(frozen=True)
class Tiling:
    """How a technique's images may be cut.

    Attributes:
        passes: one after the other; the last is not kept.
        blend: tiles overlap by twice so many LR pixels, in which one fades into the next; 0 where a halo leaves no
            difference to fade, and where a pass is kept.
        bound: by how much a value may differ from that of the whole image with the same context (images in [0, 1]):
            0, by rounding only; None, nobody has measured it.
        view: the context is found on the whole image, or where it is larger than a square of so many LR pixels, on the
            square of it with most detail; None: there is no context to find.
        least: an image with a side below this is not cut.

    Raises:
        ValueError: the last pass is kept, or a pass is and tiles are blended.
    """

    passes: tuple[TilePass, ...]
    blend: int = 0
    bound: float | None = 0.0
    view: int | None = None
    least: int = 1

    def __post_init__(self) -> None:
        if self.passes[-1].kept:
            raise ValueError("What the last pass makes is written, not kept.")
        if self.blend and any(one.kept for one in self.passes):
            raise ValueError("Tiles of passes that are kept have halos and are not blended.")


class Place(NamedTuple):
    """Where a tile given to a pass lies: its top left corner in the pass's input, and the size of that whole input."""

    top: int
    left: int
    height: int
    width: int


UNKNOWN_HALO, UNKNOWN_BLEND = 32, 16
"""For networks of which nothing is known, in LR pixels."""
