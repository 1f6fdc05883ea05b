"""The weight files of the public implementation (github.com/greatlog/DAN): which network each one holds.

Its files are plain state dicts, ``danv{1,2}_x{2,3,4}_setting{1,2}.pth``, perhaps with ``module.`` before every name.
Everything about the network but the number of iterations can be read off the shapes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from octosr.errors import WrongWeightsError
from octosr.techniques.dan.layers import PIXEL_SHUFFLES


@dataclass(frozen=True)
class Architecture:
    """What the shapes of a state dict say about its network; see ``build_v1`` and ``build_v2``."""

    version: int
    scale: int
    kernel_size: int
    components: int
    features: int
    groups: int
    blocks: int
    estimator_features: int
    estimator_blocks: int

    def differences(self, other: Architecture) -> list[str]:
        """The fields in which ``other`` differs, as ``name: own, other's``."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [f"{name}: expected {mine}, found {its}" for name, mine, its in pairs if mine != its]


def is_official(content: Mapping[str, Any]) -> bool:
    """Whether a weight file's content, prefixes stripped, is in the public implementation's names."""
    return any(key.startswith(("Restorer.", "Estimator.")) for key in content)


def read_architecture(state: Mapping[str, Any], path: Path) -> Architecture:
    """Read version, scale and sizes off a state dict in the public names.

    Raises:
        WrongWeightsError: a telling tensor is missing or of a shape no DAN has.
    """

    def shape(name: str, dimensions: int) -> tuple[int, ...]:
        tensor = state.get(name)
        if not isinstance(tensor, Tensor) or tensor.ndim != dimensions:
            found = tuple(tensor.shape) if isinstance(tensor, Tensor) else "nothing"
            raise WrongWeightsError(
                f"{path} is not a DAN weight file: expected a {dimensions}-dimensional tensor {name}, found {found}."
            )
        return tuple(tensor.shape)

    def count(prefix: str) -> int:
        found = {match[1] for key in state if (match := re.match(rf"{re.escape(prefix)}\.(\d+)\.", key))}
        return len(found)

    version = 2 if "Restorer.head1.weight" in state else 1
    features = shape("Restorer.head.weight" if version == 1 else "Restorer.head1.weight", 4)[0]
    estimator_features = shape("Estimator.head_LR.weight" if version == 1 else "Estimator.head_LR.0.weight", 4)[0]
    _, taps, components = shape("encoder", 3)
    side = math.isqrt(taps)
    if side * side != taps or side % 2 == 0:
        raise WrongWeightsError(f"{path}: encoder has {taps} rows, expected the square of an odd kernel size.")
    steps = [shape(f"Restorer.upscale.{2 * i}.weight", 4)[0] for i in range(count("Restorer.upscale") - 1)]
    factors = tuple(math.isqrt(width // features) for width in steps)
    scale = next((s for s, known in PIXEL_SHUFFLES.items() if known == factors), None)
    if scale is None:
        raise WrongWeightsError(f"{path}: its upsampler has steps {factors}, expected one of {PIXEL_SHUFFLES}.")
    return Architecture(
        version=version,
        scale=scale,
        kernel_size=side,
        components=components,
        features=features,
        groups=count("Restorer.body") if version == 2 else 1,
        blocks=count("Restorer.body.0.body") if version == 2 else count("Restorer.body"),
        estimator_features=estimator_features,
        estimator_blocks=count("Estimator.body.body") if version == 2 else count("Estimator.body"),
    )


def one_file_per_stage(found: Mapping[Path, Architecture], stages: Sequence[int]) -> dict[int, Path]:
    """Assign published files to stages by their scale.

    Raises:
        WrongWeightsError: a scale that is no stage, two files of one scale, or a stage without file.
    """
    assigned: dict[int, Path] = {}
    for path, architecture in found.items():
        scale = architecture.scale
        if scale not in stages:
            raise WrongWeightsError(f"{path} is for x{scale}, but technique.stages is {list(stages)}.")
        if scale in assigned:
            raise WrongWeightsError(f"Both {assigned[scale]} and {path} are weights for x{scale}: give one of them.")
        assigned[scale] = path
    missing = [f"x{scale}" for scale in stages if scale not in assigned]
    if missing:
        given = ", ".join(str(path) for path in found)
        raise WrongWeightsError(
            f"Stages {list(stages)} need one published file each: {', '.join(missing)} is missing. Given: {given}."
        )
    return assigned


def refuse_another_dan(found: Architecture, version: int, arguments: Mapping[str, Any], path: Path) -> None:
    """Compare a published file with the configured version and arguments of ``build_v1`` or ``build_v2``.

    Kernel size and code length are not compared: they follow the file.

    Raises:
        WrongWeightsError: they differ; every difference is listed.
    """
    sizes = {name: arguments[name] for name in ("features", "blocks", "estimator_features", "estimator_blocks")}
    expected = replace(found, version=version, groups=arguments.get("groups", 1), **sizes)
    differences = expected.differences(found)
    if arguments["bicubic_skip"]:
        differences.append("bicubic_skip: expected True, found False")
    if not arguments.get("group_doubling", True):
        differences.append("group_doubling: expected False, found True")
    if differences:
        raise WrongWeightsError(
            f"{path} holds another DAN than the technique is configured to be: {'; '.join(differences)}. "
            "Set the keys of these names under technique to what was found."
        )
