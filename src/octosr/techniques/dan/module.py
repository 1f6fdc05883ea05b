"""DAN as a technique: one network a stage, trained together, used one after the other."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from octosr.degradation.pca import encode
from octosr.degradation.pipeline import Degradation
from octosr.errors import ConfigError, WrongWeightsError
from octosr.nn import winograd
from octosr.nn.graphs import Passes, RecordedPasses
from octosr.nn.precision import at_least_single
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.dan import checks
from octosr.techniques.dan.layout import load_official
from octosr.techniques.dan.network import DANNetwork
from octosr.techniques.dan.network_v1 import build_v1
from octosr.techniques.dan.network_v2 import build_v2
from octosr.techniques.dan.official import is_official, one_file_per_stage, read_architecture, refuse_another_dan
from octosr.techniques.tiling import Place, TilePass, Tiling
from octosr.techniques.weights import read_weight_file, strip_prefixes

log = logging.getLogger(__name__)

COMPONENTS = {2: 10, 3: 10, 4: 15, 8: 15}
"""Length of the kernel code at each scale, as the published weights of v2, setting 2, have it; x3 and x8 are ours."""
BLOCKS = {1: 40, 2: 10}
"""Published number of blocks: in the whole Restorer of v1, in each of the five groups of v2."""

VIEW = 256
"""Side of the part of a large image on which codes are estimated, in LR pixels."""
V1_HALO, V1_BLEND = 32, 8
"""How tiles of v1, whose channel attention averages over all of an image, overlap, in LR pixels of a stage."""


class StageEstimate(NamedTuple):
    """What one stage did: its scale, its image (B, 3, s*h, s*w), and the code (B, p) and kernel (B, l, l) it used."""

    scale: int
    sr: Tensor
    code: Tensor
    kernel: Tensor


class DAN(SingleImageTechnique):
    """Deep alternating network for blind super-resolution (Luo et al., NeurIPS 2020; v2: arXiv:2105.06878).

    Args:
        name: see :class:`~octosr.techniques.base.Technique`.
        degradation: makes the training pairs; its kernel size at each stage's scale is the Estimator's.
        version: 1 or 2.
        stages: different scale factors out of 2, 3, 4, 8, applied one after the other.
        features: width of the Restorer.
        blocks: blocks in the Restorer (v1), in each of its groups (v2); None for the published number.
        groups: groups in the Restorer (v2).
        estimator_features: width of the Estimator's two streams.
        estimator_blocks: blocks in the Estimator.
        iterations: T, how often Restorer and Estimator alternate.
        pca_components: length of the kernel code for each scale.
        group_doubling: v2: as the published weights expect; see ``RestorerV2``.
        bicubic_skip: start from bicubic interpolation (ours); see ``Restorer``.
        winograd: allow fast convolution on CPUs (ours; the same numbers up to rounding); see ``maps.py``.
        lr_patch: side of the LR crops trained on, in pixels.
        hr_patch: side of the HR crops asked for; None for what the largest stage needs.
        learning_rate: of Adam, for the Restorer.
        estimator_learning_rate: of Adam, for the Estimator; None for the same.
        betas: of Adam.
        milestones: steps at which the learning rates are multiplied by ``gamma``.
        gamma: see ``milestones``.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        *,
        name: str,
        degradation: Degradation,
        version: int = 2,
        stages: Sequence[int] = (2, 4),
        features: int = 64,
        blocks: int | None = None,
        groups: int = 5,
        estimator_features: int = 32,
        estimator_blocks: int = 5,
        iterations: int = 4,
        pca_components: Mapping[int, int] = COMPONENTS,
        group_doubling: bool = True,
        bicubic_skip: bool = False,
        winograd: bool = True,
        lr_patch: int = 64,
        hr_patch: int | None = None,
        learning_rate: float = 4e-4,
        estimator_learning_rate: float | None = None,
        betas: Sequence[float] = (0.9, 0.99),
        milestones: Sequence[int] = (200_000, 400_000, 600_000),
        gamma: float = 0.5,
    ) -> None:
        checks.stages(stages)
        super().__init__(name, stages, degradation, hr_patch or lr_patch * max(int(s) for s in stages))
        checks.choice("version", version, (1, 2))
        self.version = version
        blocks = BLOCKS[version] if blocks is None else blocks
        sizes = {
            "features": features,
            "blocks": blocks,
            "estimator_features": estimator_features,
            "estimator_blocks": estimator_blocks,
            "iterations": iterations,
        }
        if version == 2:
            sizes["groups"] = groups
        checks.positive(sizes | {"lr_patch": lr_patch, "hr_patch": self.hr_patch, "learning_rate": learning_rate})
        self._build_arguments: dict[str, Any] = {**sizes, "bicubic_skip": bicubic_skip, "winograd": winograd}
        if version == 2:
            self._build_arguments["group_doubling"] = group_doubling
        self.lr_patch = lr_patch
        self.learning_rate = float(learning_rate)
        self.estimator_learning_rate = float(
            learning_rate if estimator_learning_rate is None else estimator_learning_rate
        )
        checks.positive({"estimator_learning_rate": self.estimator_learning_rate, "gamma": gamma})
        self.betas = checks.betas(betas)
        self.milestones = sorted(int(step) for step in milestones)
        self.gamma = float(gamma)
        components = {int(scale): int(p) for scale, p in pca_components.items()}
        self._recorded: dict[int, RecordedPasses] = {}
        self.stage_networks = nn.ModuleDict()
        for scale in self.stages:
            size = degradation.kernel_size(scale)
            checks.components(components, scale, size)
            self.stage_networks[f"x{scale}"] = self._build(scale, size, components[scale])

    def _build(self, scale: int, kernel_size: int, components: int) -> DANNetwork:
        build = build_v1 if self.version == 1 else build_v2
        return build(scale, kernel_size=kernel_size, components=components, **self._build_arguments)

    def network(self, scale: int) -> DANNetwork:
        """The network of the stage of this scale."""
        network = self.stage_networks[f"x{scale}"]
        assert isinstance(network, DANNetwork)
        return network

    def networks(self) -> list[nn.Module]:
        """One network a stage."""
        return list(self.stage_networks.values())

    def setup(self, stage: str) -> None:
        """Fit the kernel PCA of stages that have none yet; weights bring their own.

        Raises:
            ConfigError: in training, the degradation's kernels are not of the size the weights were made for.
        """
        assert self.degradation is not None
        for scale in self.stages:
            network = self.network(scale)
            size = self.degradation.kernel_size(scale)
            if stage == "fit" and size != network.kernel_size:
                raise ConfigError(
                    f"The x{scale} weights are for blur kernels of {network.kernel_size}x{network.kernel_size} taps, "
                    f"but the degradation makes {size}x{size}: choose the degradation they were trained with, "
                    f"or set degradation.kernel_size.{scale}={network.kernel_size}."
                )
            if not network.pca_fitted and size == network.kernel_size:
                network.set_pca_basis(self.degradation.pca_basis(scale, network.components))
                log.info("Fitted the PCA of the x%d blur kernels: %d components.", scale, network.components)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """Sum of the stages' losses.

        The stages share no parameter and Adam treats every parameter by itself, so this is the same as training
        each stage alone.

        Args:
            batch: ``hr`` (B, 3, P, P) in [0, 1] and ``sample_id`` (B,).
            batch_idx: not used.
        """
        losses = [self._stage_loss(scale, batch) for scale in self.stages]
        total = torch.stack(losses).sum()
        self.log("train/loss", total.detach(), prog_bar=True)
        return total

    def _stage_loss(self, scale: int, batch: dict[str, Tensor]) -> Tensor:
        """L1 of the last SR image, plus L1 of the last kernel (v2) or code (v1), both means."""
        assert self.degradation is not None
        hr = _centre_crop(batch["hr"], self.lr_patch * scale, scale)
        lr, kernel = self.degradation(hr, scale, batch["sample_id"])
        sr, blur = self._passes(scale)(lr)
        loss_sr = F.l1_loss(sr, hr)
        target = kernel.flatten(1) if self.version == 2 else encode(kernel, self.network(scale).pca_basis)
        loss_kernel = F.l1_loss(blur, target)
        self.log(f"train/loss_sr_x{scale}", loss_sr.detach())
        self.log(f"train/loss_kernel_x{scale}", loss_kernel.detach())
        return loss_sr + loss_kernel

    def _passes(self, scale: int) -> Passes:
        """A stage's passes in training: LR images to SR images and what of the blur is compared, kernel or code."""
        network = self.network(scale)

        def plain(lr: Tensor) -> tuple[Tensor, Tensor]:
            estimate = network(lr)
            return estimate.sr, estimate.code if estimate.kernel is None else estimate.kernel

        if not self.may_record_passes():
            return plain
        return self._recorded.setdefault(scale, RecordedPasses(network, plain))

    def on_fit_end(self) -> None:
        """Let go of what was recorded: it keeps the memory of a whole training step."""
        self._recorded.clear()

    def super_resolve(self, lr: Tensor, codes: Sequence[Tensor] | None = None) -> Tensor:
        """Super-resolve (B, 3, h, w) to (B, 3, scale*h, scale*w), not clamped.

        Args:
            lr: float RGB in [0, 1], h and w at least 2.
            codes: the kernel codes (B, p) to use, one a stage, instead of estimating them. For tiles of a larger
                image: estimate the codes once on the whole image, since they depend on all of it.
        """
        return self.estimate(lr, codes)[-1].sr

    def estimate(self, lr: Tensor, codes: Sequence[Tensor] | None = None) -> list[StageEstimate]:
        """What every stage makes of a batch (B, 3, h, w): image, and the kernel and code it was restored with.

        Between stages images are clamped to [0, 1], the range the networks are trained on. The kernels of v1, which
        estimates only codes, are what the PCA makes of the code. Arguments as in :meth:`super_resolve`.
        """
        found = []
        for index, scale in enumerate(self.stages):
            network = self.network(scale)
            given = None if codes is None else codes[index]
            sr, code, kernel = network(lr, given, final_estimate=False)
            if kernel is None:
                kernel = at_least_single(code) @ network.pca_basis.T
            sr = sr.to(lr.dtype)
            found.append(StageEstimate(scale, sr, code, kernel.unflatten(1, (network.kernel_size,) * 2)))
            lr = sr.clamp(0, 1)
        return found

    def tiling(self) -> Tiling:
        """With the codes shared, v2 is exact: nothing but its Estimator averages over the image.

        The attention of v1 does so in every block; there tiles are blended.
        """
        passes = [TilePass(s, self.network(s).restorer.reach, least=2, multiple=winograd.BLOCK) for s in self.stages]
        if self.version == 2:
            return Tiling(tuple(passes), view=VIEW)
        return Tiling(tuple(replace(p, halo=V1_HALO) for p in passes), V1_BLEND, bound=None, view=VIEW)

    def find_context(self, view: Tensor) -> list[Tensor]:
        """The kernel code (1, p) of each stage."""
        return [estimate.code for estimate in self.estimate(view)]

    def enlarge_tiles(self, number: int, tiles: Tensor, context: list[Tensor], places: Sequence[Place]) -> Tensor:
        """A stage, with the code of the whole image."""
        network = self.network(self.stages[number])
        images = tiles.clamp(0, 1) if number else tiles
        sr: Tensor = network(images, context[number].expand(len(tiles), -1), final_estimate=False).sr
        return sr.to(tiles.dtype)

    @property
    def published_steps(self) -> int:
        """400,000 steps for v1, 800,000 for v2."""
        return 400_000 if self.version == 1 else 800_000

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam with a learning rate each for Restorers and Estimators, both cut at the milestones."""
        networks = [self.network(scale) for scale in self.stages]
        groups = [
            {"params": _parameters(n.restorer for n in networks), "lr": self.learning_rate},
            {"params": _parameters(n.estimator for n in networks), "lr": self.estimator_learning_rate},
        ]
        # Fused only on the CPU: elsewhere it would rule out gradient clipping under 16-bit mixed precision.
        fused = True if self.device.type == "cpu" else None
        optimizer = torch.optim.Adam(groups, betas=self.betas, fused=fused)
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, self.milestones, self.gamma)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def load_weights(self, paths: Sequence[Path]) -> str:
        """Load one of our checkpoints, or published weights: one file a stage, in any order.

        A stage is rebuilt with the kernel size and code length of its published file.

        Raises:
            WrongWeightsError: a file is damaged, of another network or of a scale that is no stage, or one is missing.
        """
        states = {path: strip_prefixes(read_weight_file(path)) for path in paths}
        official = [path for path, state in states.items() if is_official(state)]
        if not official:
            return super().load_weights(paths)
        if len(official) != len(paths):
            others = [str(path) for path in paths if path not in official]
            raise WrongWeightsError(f"Published DAN weights cannot be mixed with other files: {', '.join(others)}.")
        architectures = {path: read_architecture(states[path], path) for path in official}
        networks = {}
        for scale, path in one_file_per_stage(architectures, self.stages).items():
            refuse_another_dan(architectures[path], self.version, self._build_arguments, path)
            network = self._build(scale, architectures[path].kernel_size, architectures[path].components)
            load_official(network, states[path], path)
            networks[scale] = network
        for scale, network in networks.items():  # only now, so that a wrong second file changes nothing
            self.stage_networks[f"x{scale}"] = network.to(self.device).train(self.training)
        return f"published DAN v{self.version} weights {', '.join(str(path) for path in official)}"


def _centre_crop(images: Tensor, side: int, multiple: int) -> Tensor:
    """Central crop with sides of at most ``side``, rounded down to a multiple."""
    height, width = (min(length, side) // multiple * multiple for length in images.shape[-2:])
    top, left = (images.shape[-2] - height) // 2, (images.shape[-1] - width) // 2
    return images[..., top : top + height, left : left + width]


def _parameters(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for module in modules for parameter in module.parameters()]
