"""Training of BlindSR in Lightning: which phase is next, its loss, its learning rate, what is measured."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import MeanMetric

from octosr.errors import ConfigError
from octosr.techniques.base import SingleImageTechnique, psnr_per_image
from octosr.techniques.blindsr import phases, training
from octosr.techniques.blindsr.stage import BlindSRStage
from octosr.techniques.blindsr.weights import adopt_spaces

log = logging.getLogger(__name__)

SMALLEST_LR = 8
"""LR pixels a side that a training crop has at least."""


class PhasedTraining(SingleImageTechnique):
    """What of BlindSR trains; :class:`~octosr.techniques.blindsr.module.BlindSR` sets the attributes.

    Attributes:
        stage_networks: a :class:`BlindSRStage` for each different scale; the same scale twice is the same network.
        schedule: the phases.
        drawing: how blurs are drawn.
        lr_patch: side of the LR crops of training.
        val_loss: of the discriminator, on held-out images.
    """

    run_settings: ClassVar[tuple[str, ...]] = ("phase",)
    stage_networks: nn.ModuleDict
    schedule: phases.Schedule
    drawing: training.Drawing
    lr_patch: int
    val_loss: MeanMetric
    _phase: phases.PhaseName = phases.ORDER[0]

    def stage(self, scale: int) -> BlindSRStage:
        """The stage of this scale."""
        stage = self.stage_networks[f"x{scale}"]
        assert isinstance(stage, BlindSRStage)
        return stage

    def all_stages(self) -> list[BlindSRStage]:
        """The different stages in the order they are first applied."""
        return [self.stage(scale) for scale in dict.fromkeys(self.stages)]

    def networks(self) -> list[nn.Module]:
        """The generators and discriminators."""
        return [network for stage in self.all_stages() for network in (stage.generator, stage.discriminator)]

    @property
    def published_steps(self) -> int:
        """All steps up to the end of the phase; the public code goes on until it is stopped, so the length is ours."""
        return self.schedule.steps_up_to_end

    def on_train_start(self) -> None:
        """Settle the phase, or stop at once if there is nothing left to train."""
        self._settle_phase()

    def _settle_phase(self) -> None:
        found = phases.next_phase(self.all_stages(), self.schedule)
        if found is None:
            log.info("phase %s is finished", self.schedule.phase)
            self.trainer.should_stop = True
            return
        if found == "discriminator":
            phases.require_generator(self.all_stages())
        self._phase = found

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> Tensor:
        """The loss of the phase at hand, the sum over the stages.

        Args:
            batch: ``hr`` (B, 3, P, P) in [0, 1] and ``sample_id`` (B,).
            batch_idx: not used.
        """
        losses = [self._stage_loss(stage, batch) for stage in self.all_stages()]
        total = torch.stack(losses).sum()
        self.log("train/loss", total.detach(), prog_bar=True)
        if self.trainer.world_size > 1:
            # Processes that wait for each other's gradients have to get one for every parameter.
            total = total + 0 * torch.stack([p.sum() for p in self.parameters()]).sum()
        return total

    def _stage_loss(self, stage: BlindSRStage, batch: dict[str, Tensor]) -> Tensor:
        hr = self._crop_for(stage, batch["hr"], self.lr_patch)
        if self._phase == "generator":
            loss = training.generator_loss(stage, hr, batch["sample_id"], self.drawing)
        else:
            both = training.discriminator_losses(stage, hr, batch["sample_id"], self.drawing)
            self.log(f"train/loss_wrong_x{stage.scale}", both[0].detach())
            self.log(f"train/loss_true_x{stage.scale}", both[1].detach())
            loss = training.discriminator_loss(both)
        self.log(f"train/loss_{self._phase}_x{stage.scale}", loss.detach())
        return loss

    def _crop_for(self, stage: BlindSRStage, hr: Tensor, lr_side: int | None) -> Tensor:
        """The centre of the crops that gives LR patches of a side, or of what there is (None: that)."""
        rim, available = 2 * stage.space.rim, min(hr.shape[-2:])
        side = available if lr_side is None else min(stage.scale * lr_side + rim, available)
        side = side // stage.scale * stage.scale
        if (side - rim) // stage.scale < SMALLEST_LR:
            raise ConfigError(
                f"training crops of {available} pixels leave {max((side - rim) // stage.scale, 0)} LR pixels "
                f"at x{stage.scale}, where a blur kernel of {stage.space.size} takes a rim and {SMALLEST_LR} are "
                f"needed: use larger images or data.patch, or a smaller technique.kernel_sizes.{stage.scale}."
            )
        top, left = ((length - side) // 2 for length in hr.shape[-2:])
        return hr[..., top : top + side, left : left + side]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate of the phase, and forget the zeros that several processes have for other gradients.

        With zeros Adam would count steps for networks that are not trained yet, and their first ones be too long.
        """
        done = min(phases.steps_done(stage, self._phase) for stage in self.all_stages())
        for group, name in zip(optimizer.param_groups, phases.ORDER, strict=True):
            group["lr"] = self.schedule.rate(name, done) if name == self._phase else 0.0
            if name != self._phase:
                for parameter in group["params"]:
                    parameter.grad = None

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """Take the step and count it: here, so that a checkpoint written right afterwards has both."""
        super().optimizer_step(*arguments, **settings)
        phases.count_step(self.all_stages(), self._phase)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Go on to the next phase."""
        before = self._phase
        self._settle_phase()
        if self._phase != before:
            log.info("phase %s is finished; now %s", before, self._phase)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam with a group for each phase; the rates are set step by step, see :class:`phases.Schedule`."""
        parts = [[getattr(stage, name) for stage in self.all_stages()] for name in phases.ORDER]
        groups = [
            {"params": [p for module in modules for p in module.parameters()], "lr": self.schedule.rate(name, 0)}
            for name, modules in zip(phases.ORDER, parts, strict=True)
        ]
        return torch.optim.Adam(groups)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the kernels of the checkpoint: those of published weights are not the configured ones."""
        adopt_spaces(self, checkpoint["state_dict"])

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """PSNR of the last stage with the true kernel, and of bicubic, on random kernels; the discriminator's loss.

        The search is left out: it would take longer than the training between two validations.
        """
        stage = self.stage(self.stages[-1])
        hr = self._crop_for(stage, batch["hr"], None)
        pairs = training.make_pairs(stage, hr, batch["sample_id"], self.drawing)
        sr = training.generate(stage, pairs, pairs.blur).sr.float().clamp(0, 1)
        enlarged = pairs.enlarged.clamp(0, 1)
        self.val_psnr.update(psnr_per_image(sr, pairs.hr))
        self.val_psnr_bicubic.update(psnr_per_image(enlarged, pairs.hr))
        losses = training.discriminator_losses(stage, hr, batch["sample_id"], self.drawing)
        self.val_loss.update(training.discriminator_loss(losses))
        return {"lr": pairs.lr, "sr": sr, "bicubic": enlarged, "hr": pairs.hr}

    def on_validation_epoch_end(self) -> None:
        """Log also ``val/loss_discriminator``."""
        super().on_validation_epoch_end()
        self.log("val/loss_discriminator", self.val_loss.compute(), rank_zero_only=False)
        self.val_loss.reset()
