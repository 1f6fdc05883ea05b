"""Training of MoESR in Lightning: which phase is next, its loss, its learning rate, what is kept for resuming."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from octosr.degradation.aligned import trim
from octosr.errors import ConfigError
from octosr.techniques.base import SingleImageTechnique, psnr_per_image
from octosr.techniques.moesr import phases, training
from octosr.techniques.moesr.grid import EXPERTS, MIDDLE
from octosr.techniques.moesr.network import bicubic
from octosr.techniques.moesr.stage import MoESRStage

log = logging.getLogger(__name__)


class PhasedTraining(SingleImageTechnique):
    """What of MoESR trains; the constructor of :class:`~octosr.techniques.moesr.module.MoESR` sets the attributes.

    Attributes:
        stage_networks: a :class:`MoESRStage` for each scale.
        schedule: the phases.
        expert: the one expert to train, or None.
        pairs: for each scale, what KEN learns from.
        lr_patch, ise_settings, ise_target, ken_every, ken_batch, seed: see there.
    """

    run_settings: ClassVar[tuple[str, ...]] = ("phase", "expert")
    stage_networks: nn.ModuleDict
    schedule: phases.Schedule
    expert: int | None
    pairs: dict[int, training.PairBank]
    lr_patch: int
    ise_settings: int
    ise_target: training.IseTarget
    ken_every: int
    ken_batch: int
    seed: int
    _phase: phases.PhaseName = phases.ORDER[0]

    def stage(self, scale: int) -> MoESRStage:
        """The stage of this scale."""
        stage = self.stage_networks[f"x{scale}"]
        assert isinstance(stage, MoESRStage)
        return stage

    def all_stages(self) -> list[MoESRStage]:
        """The stages in the order they are applied."""
        return [self.stage(scale) for scale in self.stages]

    def networks(self) -> list[nn.Module]:
        """None: what runs are stacks of weights, not modules."""
        return []

    @property
    def published_steps(self) -> int:
        """All steps up to the end of the phase; the published training is not described, so the length is ours."""
        return self.schedule.steps_up_to_end

    def on_train_start(self) -> None:
        """Settle the phase, or stop at once if there is nothing left to train."""
        self._settle_phase()

    def _settle_phase(self) -> None:
        found = phases.next_phase(self.all_stages(), self.schedule, self.expert)
        if found is None:
            log.info("phase %s is finished", self.schedule.phase)
            self.trainer.should_stop = True
            return
        phases.require_earlier(self.all_stages(), found)
        self._phase = found

    def active_experts(self) -> list[int]:
        """The experts that the next step trains."""
        if self.expert is not None:
            return [self.expert]
        done = min(phases.steps_done(stage, "experts") for stage in self.all_stages())
        warmed = min(int(stage.expert_steps[MIDDLE]) for stage in self.all_stages())
        return [MIDDLE] if done == 0 and warmed < self.schedule.warm else list(range(len(EXPERTS)))

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

    def _stage_loss(self, stage: MoESRStage, batch: dict[str, Tensor]) -> Tensor:
        ids = batch["sample_id"]
        least = stage.smallest_side if self._phase != "experts" else 1
        hr = self._crop_for(stage, batch["hr"], least)
        if self._phase == "experts":
            each = training.expert_losses(stage, hr, self.active_experts())
            self.log(f"train/loss_experts_x{stage.scale}", each.detach().mean())
            return each.sum()
        if self._phase == "ise":
            loss = training.ise_loss(stage, hr, self.seed, ids, self.ise_settings, self.ise_target)
            self.log(f"train/loss_ise_x{stage.scale}", loss.detach())
            return loss
        pairs, step = self.pairs[stage.scale], int(stage.ken_steps)
        if step % self.ken_every == 0 or not len(pairs):
            pairs.add(*training.collect_pairs(stage, hr, self.seed, ids))
        loss = training.ken_loss(stage, *pairs.draw(self.ken_batch, self.seed, step, hr.device))
        self.log(f"train/loss_ken_x{stage.scale}", loss.detach())
        return loss

    def _crop_for(self, stage: MoESRStage, hr: Tensor, least: int) -> Tensor:
        """The centre of the crops that gives LR patches of the side asked for, or of what there is."""
        rim = stage.kernel_size - 1
        side = min(stage.scale * max(self.lr_patch, least) + rim, *hr.shape[-2:]) // stage.scale * stage.scale
        if (side - rim) // stage.scale < least:
            raise ConfigError(
                f"training crops of {min(hr.shape[-2:])} pixels leave {max((side - rim) // stage.scale, 0)} LR pixels "
                f"at x{stage.scale}, where a blur kernel of {stage.kernel_size} takes a rim and {least} are needed: "
                f"use larger images or data.patch, or a smaller technique.kernel_sizes.{stage.scale}."
            )
        top, left = ((length - side) // 2 for length in hr.shape[-2:])
        return hr[..., top : top + side, left : left + side]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate of the phase, and forget the zeros that several processes have for other gradients.

        With zeros Adam would count steps for networks that are not trained yet, and their first ones be too long.
        """
        done = min(phases.steps_done(stage, self._phase, self._counted()) for stage in self.all_stages())
        for group, name in zip(optimizer.param_groups, phases.ORDER, strict=True):
            group["lr"] = self.schedule.rate(name, done) if name == self._phase else 0.0
            if name != self._phase:
                for parameter in group["params"]:
                    parameter.grad = None

    def _counted(self) -> int | None:
        """Whose steps count in the phase of the experts: the middle one's, which is trained from the start."""
        return self.expert if self.expert is not None else MIDDLE

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """Take the step and count it; hand the middle expert's weights on after the warm start.

        Here, so that a checkpoint written right afterwards has the step and its count.
        """
        super().optimizer_step(*arguments, **settings)
        active = self.active_experts() if self._phase == "experts" else []
        phases.count_step(self.all_stages(), self._phase, active)
        if active == [MIDDLE] and self.expert is None:
            for stage in self.all_stages():
                if int(stage.expert_steps[MIDDLE]) == self.schedule.warm:
                    stage.bank.broadcast(MIDDLE)
                    stage.expert_steps.fill_(self.schedule.warm)
                    self._broadcast_moments(stage)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Go on to the next phase."""
        before = self._phase
        self._settle_phase()
        if self._phase != before:
            log.info("phase %s is finished; now %s", before, self._phase)

    def _broadcast_moments(self, stage: MoESRStage) -> None:
        """Adam's moments of the middle expert for all, so that their next step is of the usual size."""
        optimizer = self.trainer.optimizers[0]
        for parameter in stage.bank.parameters():
            for value in optimizer.state[parameter].values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.copy_(value[MIDDLE].clone().expand_as(value))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam with a group for each phase; the rates are set step by step, see :class:`phases.Schedule`."""
        stages = self.all_stages()
        parts: list[list[nn.Module]] = [
            list(p) for p in zip(*((s.bank, s.evaluator, s.estimator) for s in stages), strict=True)
        ]
        groups = [
            {"params": [p for module in modules for p in module.parameters()], "lr": self.schedule.rate(name, 0)}
            for name, modules in zip(phases.ORDER, parts, strict=True)
        ]
        return torch.optim.Adam(groups)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the pairs that KEN learns from."""
        if any(len(pairs) for pairs in self.pairs.values()):
            checkpoint["moesr_pairs"] = {str(scale): pairs.state_dict() for scale, pairs in self.pairs.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with them."""
        for scale, state in checkpoint.get("moesr_pairs", {}).items():
            self.pairs[int(scale)].load_state_dict(state)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """PSNR of the last stage with the true kernel's nearest expert, untuned, and of bicubic, on random kernels.

        Every phase has experts to judge, and the whole chain is what ``eval.py`` measures.
        """
        stage = self.all_stages()[-1]
        hr = self._crop_for(stage, batch["hr"], 1)
        lr, parameters = training.random_degradation(stage, hr, self.seed, batch["sample_id"])
        places = stage.grid.nearest(parameters)
        stack = stage.bank.turned_stack(stage.grid.experts[places], stage.grid.symmetries[places])
        sr = stack.enlarge(lr[:, None])[-1][:, 0].clamp(0, 1)
        enlarged = bicubic(lr, stage.scale).clamp(0, 1)
        hr = trim(hr, sr)
        self.val_psnr.update(psnr_per_image(sr, hr))
        self.val_psnr_bicubic.update(psnr_per_image(enlarged, hr))
        return {"lr": lr, "sr": sr, "bicubic": enlarged, "hr": hr}
