"""Networks that the package spandrel knows (github.com/chaiNNer-org/spandrel, MIT), as techniques run them.

spandrel finds the architecture from the names and shapes in a state dict. Files are read here: its own reader unpickles
with a list of allowed names instead of ``weights_only=True``, and TorchScript files run code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from octosr.degradation.resize import resize
from octosr.errors import ConfigError, WrongWeightsError
from octosr.techniques.fixed_network import FixedScaleNetwork
from octosr.techniques.links import Link, rrdbnet_links

PURPOSES = {
    "FaceSR": "restores faces that were cut out and aligned",
    "Inpainting": "fills holes in images",
    "Restoration": "restores images at their own size",
}
_CHANNELS = {(1, 1), (3, 3), (4, 4)}


class EcosystemNetwork(FixedScaleNetwork):
    """A network that spandrel has built.

    Grey networks get the luma (BT.601, full range) and the two colour differences are enlarged by bicubic
    interpolation; networks with an alpha channel get an opaque one, and theirs is dropped. Images smaller than the
    network needs, or of sides that it cannot divide, are mirrored on and the result cut (spandrel does that).

    Args:
        descriptor: spandrel's ``ImageModelDescriptor``.
        batched: images may run together; False: one after the other, which is what spandrel promises for all of its
            networks. Any random numbers of the network are then the same for every image.
        source: facts to put in front of spandrel's own.
    """

    def __init__(
        self,
        descriptor: Any,
        batched: bool = False,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model = descriptor.model
        self.descriptor = descriptor
        self.batched = batched
        self.scale = int(descriptor.scale)
        self.multiple = int(descriptor.size_requirements.multiple_of)
        self.least = int(descriptor.size_requirements.minimum)
        self.tiled = descriptor.tiling.name != "INTERNAL"  # such a network looks at the whole image and says so
        supported = {torch.float16: descriptor.supports_half, torch.bfloat16: descriptor.supports_bfloat16}
        self.half_precisions = frozenset(dtype for dtype, yes in supported.items() if yes)
        self.facts = {
            **(source or {}),
            "architecture": descriptor.architecture.name,
            "size": " ".join(descriptor.tags),
            "scale": f"x{self.scale}",
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
        }

    def enlarge(self, images: Tensor) -> Tensor:
        """See :class:`FixedScaleNetwork`."""
        channels = self.descriptor.input_channels
        if channels == 1:
            return self._enlarge_luma(images)
        if channels == 4:
            images = torch.cat((images, torch.ones_like(images[:, :1])), 1)
        return self._run(images)[:, :3]

    def links(self) -> Sequence[Link]:
        """Of an RRDBNet of RGB images that enlarges by doubling, and does not first fold pixels into channels."""
        model = self.model
        known = self.descriptor.architecture.name == "ESRGAN" and not model.shuffle_factor
        if not known or self.descriptor.input_channels != 3 or self.scale not in (2, 4, 8):
            return ()
        *links, last = rrdbnet_links(model.model, 3, self.scale)
        runs = [link._replace(run=partial(self._run_link, link.run)) for link in links]
        # As spandrel does with the network's result.
        return [*runs, last._replace(run=lambda state: self._run_link(last.run, state).clamp(0, 1).contiguous())]

    def _run_link(self, run: Callable[[Tensor], Tensor], state: Tensor) -> Tensor:
        return run(self._laid_out(state))

    def _laid_out(self, images: Tensor) -> Tensor:
        """In the memory format in which a CPU is faster by RRDBNets; what comes out of a convolution keeps it."""
        if self.descriptor.architecture.name == "ESRGAN" and images.device.type == "cpu":
            return images.contiguous(memory_format=torch.channels_last)
        return images

    def _run(self, images: Tensor) -> Tensor:
        if self.batched:
            result = self.descriptor(self._laid_out(images)).contiguous()
        else:
            devices = [images.device] if images.device.type == "cuda" else []
            results = []
            for image in images:
                with torch.random.fork_rng(devices):
                    torch.manual_seed(0)
                    results.append(self.descriptor(self._laid_out(image[None])).contiguous())
            result = torch.cat(results)
        # spandrel runs in inference mode; outside of it, what it gives could not be changed in place.
        return result if torch.is_inference_mode_enabled() else result.clone()

    def _enlarge_luma(self, images: Tensor) -> Tensor:
        red, green, blue = images.float().unbind(1)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        size = [side * self.scale for side in images.shape[-2:]]
        differences = torch.stack((red - luma, blue - luma), 1)
        colour = resize(differences, (size[0], size[1]))
        sr = self._run(luma[:, None].to(images.dtype)).float()[:, 0]
        red, blue = sr + colour[:, 0], sr + colour[:, 1]
        return torch.stack((red, (sr - 0.299 * red - 0.114 * blue) / 0.587, blue), 1)


def build(state: Mapping[str, Any], path: Path, **settings: Any) -> EcosystemNetwork:
    """Find the architecture of a state dict and build it.

    Args:
        state: content of a weight file.
        path: of it, for messages.
        settings: of :class:`EcosystemNetwork`.

    Raises:
        ConfigError: spandrel is not installed.
        WrongWeightsError: no architecture that spandrel knows, damaged, or not one of super-resolution.
    """
    try:
        from spandrel import MAIN_REGISTRY, ImageModelDescriptor, UnsupportedModelError
    except ImportError as error:
        raise ConfigError(
            "Networks of other projects need the package spandrel: pip install 'octosr[models]' (or spandrel==0.4.2)."
        ) from error
    try:
        descriptor = MAIN_REGISTRY.load(dict(state))
    except UnsupportedModelError as error:
        names = ", ".join(list(state)[:3])
        raise WrongWeightsError(
            f"{path} holds no network that spandrel knows (it begins with {names}). Your own network: "
            "technique=external technique.target=PACKAGE.CLASS."
        ) from error
    except Exception as error:  # detected, but its numbers do not fit together: spandrel raises whatever comes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WrongWeightsError(
            f"{path} looks like a network that spandrel knows, but is damaged: {reason}."
        ) from error
    name = descriptor.architecture.name
    if descriptor.purpose != "SR" or not isinstance(descriptor, ImageModelDescriptor):
        what = PURPOSES.get(descriptor.purpose, f"is for {descriptor.purpose}")
        raise WrongWeightsError(f"{path} is a {name}, which {what}: it is no network of super-resolution.")
    channels = (descriptor.input_channels, descriptor.output_channels)
    if channels not in _CHANNELS:
        raise WrongWeightsError(
            f"{path} is a {name} from {channels[0]} channels to {channels[1]}; RGB, grey or RGBA are run."
        )
    return EcosystemNetwork(descriptor, **settings)
