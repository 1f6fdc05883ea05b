"""Any super-resolution network that the package spandrel knows: Real-ESRGAN, SwinIR, HAT, DAT, SPAN, OmniSR, ..."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from octosr.errors import WrongWeightsError
from octosr.techniques.ecosystem import build
from octosr.techniques.fixed_network import FixedScaleNetwork
from octosr.techniques.fixed_scale import FixedScale
from octosr.techniques.weights import read_weight_file


class Spandrel(FixedScale):
    """A network that is found out from its weight file; arguments as of :class:`FixedScale`."""

    def read_network(self, paths: Sequence[Path]) -> FixedScaleNetwork:
        """Read one ``.pth``, ``.ckpt`` or ``.safetensors`` file; nothing in it is run.

        Raises:
            WrongWeightsError: several files, or one that cannot be used; the message says why.
        """
        if len(paths) != 1:
            raise WrongWeightsError(f"technique={self.name} runs one network, but {len(paths)} files were given.")
        return build(read_weight_file(paths[0]), paths[0])
