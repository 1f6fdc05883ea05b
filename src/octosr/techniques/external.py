"""A network of one's own: any ``nn.Module`` that can be imported, judged like every other technique."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from octosr.errors import ConfigError, WrongWeightsError, nearest
from octosr.techniques.fixed_network import FixedScaleNetwork
from octosr.techniques.fixed_scale import FixedScale
from octosr.techniques.scale_steps import ToScale
from octosr.techniques.weights import load_into, read_weight_file, strip_prefixes

WRAPPERS = ("state_dict", "params_ema", "params", "model_state_dict", "model", "net")
"""Keys under which training programs put a state dict; the averaged weights before the others."""


class ExternalNetwork(FixedScaleNetwork):
    """A user's network.

    Args:
        model: takes RGB in [0, 1], (B, 3, h, w), and gives (B, 3, scale*h, scale*w).
        target: its import path, for messages and the record.
        scale: by which it enlarges.
    """

    def __init__(self, model: nn.Module, target: str, scale: int) -> None:
        super().__init__()
        self.model = model
        self.scale = scale
        self.facts = {
            "architecture": target,
            "scale": f"x{scale}",
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        }

    def enlarge(self, images: Tensor) -> Tensor:
        """See :class:`FixedScaleNetwork`.

        Raises:
            ConfigError: the network gives something else than images of its scale.
        """
        result = self.model(images)
        expected = (*images.shape[:2], images.shape[2] * self.scale, images.shape[3] * self.scale)
        found = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        if found != expected:
            raise ConfigError(
                f"{self.facts['architecture']} made {found} of {tuple(images.shape)}; technique.own_scale={self.scale} "
                f"says {expected}."
            )
        return result


class External(FixedScale):
    """Runs a class of the user's.

    Args:
        name: see :class:`~octosr.techniques.base.Technique`.
        target: import path of the class, e.g. ``my_package.MyNet``; what ``python`` can import from here.
        args: keyword arguments of its constructor.
        own_scale: by which it enlarges.
        scale: the whole upscaling factor.
        to_scale: see :func:`octosr.techniques.scale_steps.steps`.
        reach: see :class:`FixedScale`.

    Raises:
        ConfigError: an unknown ``to_scale``, or ``own_scale`` below 2.
    """

    def __init__(
        self,
        name: str = "external",
        target: str | None = None,
        args: Mapping[str, Any] | None = None,
        own_scale: int = 4,
        scale: int = 8,
        to_scale: ToScale = "bicubic",
        reach: int | None = None,
    ) -> None:
        super().__init__(name, scale, to_scale, reach)
        if own_scale < 2:
            raise ConfigError(f"technique.own_scale is by how much your network enlarges, at least 2, not {own_scale}.")
        self.target, self.arguments, self.own_scale = target, dict(args or {}), int(own_scale)

    def read_network(self, paths: Sequence[Path]) -> FixedScaleNetwork:
        """Construct the class and load one file into it, every name and shape compared.

        Raises:
            ConfigError: the class cannot be imported or constructed.
            WrongWeightsError: several files, or one that does not fit; the names in question are quoted.
        """
        if len(paths) != 1:
            raise WrongWeightsError(f"technique={self.name} runs one network, but {len(paths)} files were given.")
        if not self.target:
            raise ConfigError("Say which class your network is: technique.target=my_package.MyNet.")
        made = find_class(self.target)
        try:
            model = made(**self.arguments)
        except Exception as error:  # the user's code; what it raises belongs in front of the user
            raise ConfigError(
                f"{self.target} cannot be constructed with technique.args={self.arguments}: "
                f"{type(error).__name__}: {error}"
            ) from error
        state = unwrap(read_weight_file(paths[0]))
        strangers = [key for key, value in state.items() if not isinstance(value, Tensor)]
        if strangers:
            raise WrongWeightsError(f"{paths[0]} is no state dict: {', '.join(strangers[:3])} are no tensors.")
        load_into(model, without_prefixes(state, set(model.state_dict())), paths[0])
        return ExternalNetwork(model, self.target, self.own_scale)


def find_class(target: str) -> type[nn.Module]:
    """Import a class.

    Raises:
        ConfigError: its module cannot be imported, has no such name, or it is no ``nn.Module``.
    """
    module_name, _, name = target.rpartition(".")
    try:
        module = importlib.import_module(module_name or name)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise ConfigError(
            f"technique.target={target}: {module_name or name} cannot be imported ({type(error).__name__}: {error}). "
            "Write it as package.module.Class; a folder that is not installed goes into PYTHONPATH."
        ) from error
    found = getattr(module, name, None) if module_name else None
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        classes = [
            key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, nn.Module)
        ]
        known = f" It has: {', '.join(classes)}." if classes else ""
        raise ConfigError(f"technique.target={target} is no torch.nn.Module.{nearest(name, classes)}{known}")
    return found


def unwrap(content: Mapping[str, Any]) -> dict[str, Any]:
    """The state dict in a weight file, taken out of what training programs put around it."""
    inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
    return dict(content) if inner is None else unwrap(inner)


def without_prefixes(state: Mapping[str, Tensor], own: Set[str]) -> dict[str, Tensor]:
    """A state dict without what DataParallel, compilation, or a module around the network put before its names.

    >>> import torch
    >>> list(without_prefixes({"module.net.a": torch.ones(1), "module.net.b": torch.ones(1)}, {"a", "b"}))
    ['a', 'b']
    """
    state = strip_prefixes(state)
    first = next(iter(state), "").partition(".")[0] + "."
    if not own & state.keys() and all(key.startswith(first) for key in state):
        return {key.removeprefix(first): value for key, value in state.items()}
    return state
