"""Techniques of several networks a scale that are trained one after the other, in phases.

Of the phases, the stages (all networks of one scale) and their losses a technique says what they are; which phase is
next, its learning rate, and what is frozen meanwhile is settled here.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any, Generic, TypeVar, cast

import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from octosr.errors import ConfigError
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.phases import Schedule

log = logging.getLogger(__name__)

Stage = TypeVar("Stage", bound=nn.Module)


class PhasedTechnique(SingleImageTechnique, Generic[Stage]):
    """Trains one phase after the other, all stages at once; counts the steps where a checkpoint keeps them.

    Attributes:
        stage_networks: the stage of scale s as ``xs``; a scale that comes several times has one.
        schedule: the phases.
    """

    stage_networks: nn.ModuleDict
    schedule: Schedule
    _phase: str

    @abstractmethod
    def steps_done(self, stage: Stage, name: str) -> int:
        """For how many steps a stage is trained in a phase."""

    @abstractmethod
    def count_step(self) -> None:
        """Note that a step of the phase at hand has been taken."""

    @abstractmethod
    def require_earlier(self, name: str) -> None:
        """Check that what a phase builds on has been trained.

        Raises:
            ConfigError: it has not; the message says how to get it.
        """

    @abstractmethod
    def trained_network(self, stage: Stage, name: str) -> nn.Module:
        """What of a stage a phase trains."""

    @abstractmethod
    def stage_loss(self, stage: Stage, batch: dict[str, Tensor]) -> Tensor:
        """The loss of a stage in the phase at hand, for the batch of :meth:`training_step`."""

    def steps_at_rate(self, stage: Stage, name: str) -> int:
        """The steps of a stage that count for its learning rate."""
        return self.steps_done(stage, name)

    def stage(self, scale: int) -> Stage:
        """The stage of this scale."""
        return cast("Stage", self.stage_networks[f"x{scale}"])

    def all_stages(self) -> list[Stage]:
        """The different stages in the order they are first applied."""
        return [self.stage(scale) for scale in dict.fromkeys(self.stages)]

    @property
    def published_steps(self) -> int:
        """All steps up to the end of the phase; no publication tells how many these are, so the length is ours."""
        return self.schedule.steps_up_to_end

    def next_phase(self) -> str | None:
        """The first wanted phase that some stage has not finished; None: all are."""
        return self.schedule.next(lambda name: min(self.steps_done(stage, name) for stage in self.all_stages()))

    def on_train_start(self) -> None:
        """Settle the phase, or stop at once if there is nothing left to train."""
        self._settle_phase()

    def _settle_phase(self) -> None:
        found = self.next_phase()
        if found is None:
            log.info("phase %s is finished", self.schedule.phase)
            self.trainer.should_stop = True
            return
        self.require_earlier(found)
        self._phase = found

    def of_all_processes(self, values: Tensor) -> Tensor:
        """The values (B, ...) of all processes, one after the other; those of one process as they are."""
        if self.trainer.world_size == 1:
            return values
        return cast("Tensor", self.all_gather(values)).flatten(0, 1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """The loss of the phase at hand, the sum over the stages.

        Args:
            batch: ``hr`` (B, 3, P, P) in [0, 1] and ``sample_id`` (B,).
            batch_idx: not used.
        """
        losses = [self.stage_loss(stage, batch) for stage in self.all_stages()]
        total = torch.stack(losses).sum()
        self.log("train/loss", total.detach(), prog_bar=True)
        if self.trainer.world_size > 1:
            # Processes that wait for each other's gradients have to get one for every parameter.
            total = total + 0 * torch.stack([p.sum() for p in self.parameters()]).sum()
        return total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate of the phase, and forget the zeros that several processes have for other gradients.

        With zeros Adam would count steps for networks that are not trained yet, and their first ones be too long.
        """
        done = min(self.steps_at_rate(stage, self._phase) for stage in self.all_stages())
        for group, name in zip(optimizer.param_groups, self.schedule.order, strict=True):
            group["lr"] = self.schedule.rate(name, done) if name == self._phase else 0.0
            if name != self._phase:
                for parameter in group["params"]:
                    parameter.grad = None

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """Take the step and count it: here, so that a checkpoint written right afterwards has both."""
        super().optimizer_step(*arguments, **settings)
        self.count_step()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Go on to the next phase."""
        before = self._phase
        self._settle_phase()
        if self._phase != before:
            log.info("phase %s is finished; now %s", before, self._phase)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam with a group for each phase; the rates are set step by step, see :class:`Schedule`."""
        groups: list[dict[str, Any]] = []
        for name in self.schedule.order:
            networks = [self.trained_network(stage, name) for stage in self.all_stages()]
            parameters = [p for network in networks for p in network.parameters()]
            groups.append({"params": parameters, "lr": self.schedule.rate(name, 0)})
        return torch.optim.Adam(groups)


def crop_for_lr(hr: Tensor, scale: int, lr_side: int | None, least: int, rim: int, kernel_size: int) -> Tensor:
    """The centre of HR crops that gives LR patches of a side, or of what there is.

    Args:
        hr: (B, 3, H, W).
        scale: the factor s.
        lr_side: side of the LR patches in pixels; None: as large as there is.
        least: LR pixels a side that are needed at least.
        rim: HR pixels that blurring takes off a side's length, both ends together.
        kernel_size: side of the blur kernels, for the message.

    Returns:
        (B, 3, P, P), P divisible by s.

    Raises:
        ConfigError: less than ``least`` LR pixels are left.
    """
    available = min(hr.shape[-2:])
    side = available if lr_side is None else min(scale * lr_side + rim, available)
    side = side // scale * scale
    if (side - rim) // scale < least:
        raise ConfigError(
            f"training crops of {available} pixels leave {max((side - rim) // scale, 0)} LR pixels "
            f"at x{scale}, where a blur kernel of {kernel_size} takes a rim and {least} are needed: "
            f"use larger images or data.patch, or a smaller technique.kernel_sizes.{scale}."
        )
    top, left = ((length - side) // 2 for length in hr.shape[-2:])
    return hr[..., top : top + side, left : left + side]
