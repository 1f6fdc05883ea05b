"""Training of MoESR in Lightning: the losses of its phases, the warm start, what is kept for resuming."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from octosr.degradation.aligned import trim
from octosr.techniques.base import psnr_per_image
from octosr.techniques.moesr import phases, training
from octosr.techniques.moesr.grid import EXPERTS, MIDDLE
from octosr.techniques.moesr.network import bicubic
from octosr.techniques.moesr.stage import MoESRStage
from octosr.techniques.phased import PhasedTechnique, crop_for_lr


class PhasedTraining(PhasedTechnique[MoESRStage]):
    """What of MoESR trains; the constructor of :class:`~octosr.techniques.moesr.module.MoESR` sets the attributes.

    Attributes:
        schedule: the phases.
        expert: the one expert to train, or None.
        pairs: for each scale, what KEN learns from.
        lr_patch, ise_settings, ise_target, ken_every, ken_batch, ken_double, seed: see there.
    """

    run_settings: ClassVar[tuple[str, ...]] = ("phase", "expert")
    inference_settings: ClassVar[tuple[str, ...]] = ("finetune",)
    schedule: phases.WarmSchedule
    expert: int | None
    pairs: dict[int, training.PairBank]
    lr_patch: int
    ise_settings: int
    ise_target: training.IseTarget
    ken_every: int
    ken_batch: int
    ken_double: bool
    seed: int

    def networks(self) -> list[nn.Module]:
        """None: what runs are stacks of weights, not modules."""
        return []

    def steps_done(self, stage: MoESRStage, name: str) -> int:
        """For how many steps a stage is trained; of the experts the least trained, or the one that is to be trained."""
        return phases.steps_done(stage, name, self.expert)

    def steps_at_rate(self, stage: MoESRStage, name: str) -> int:
        """In the phase of the experts the middle one's, which is trained from the start, or those of the only one."""
        return phases.steps_done(stage, name, self.expert if self.expert is not None else MIDDLE)

    def require_earlier(self, name: str) -> None:
        """Check that what a phase builds on has been trained."""
        phases.require_earlier(self.all_stages(), name)

    def trained_network(self, stage: MoESRStage, name: str) -> nn.Module:
        """The bank, ISE or KEN."""
        networks: dict[str, nn.Module] = {"experts": stage.bank, "ise": stage.evaluator, "ken": stage.estimator}
        return networks[name]

    def active_experts(self) -> list[int]:
        """The experts that the next step trains."""
        if self.expert is not None:
            return [self.expert]
        done = min(phases.steps_done(stage, "experts") for stage in self.all_stages())
        warmed = min(int(stage.expert_steps[MIDDLE]) for stage in self.all_stages())
        return [MIDDLE] if done == 0 and warmed < self.schedule.warm else list(range(len(EXPERTS)))

    def stage_loss(self, stage: MoESRStage, batch: dict[str, Tensor]) -> Tensor:
        """The loss of the experts at hand, of ISE, or of KEN on pairs old and new."""
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
            found = training.collect_pairs(stage, hr, self.seed, ids, self.ken_double)
            pairs.add(*self._pairs_of_all(ids, *found))
        loss = training.ken_loss(stage, *pairs.draw(self.ken_batch, self.seed, step, hr.device))
        self.log(f"train/loss_ken_x{stage.scale}", loss.detach())
        return loss

    def _pairs_of_all(self, ids: Tensor, scores: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The pairs of all processes in the order of their samples: each process then has the bank that one would."""
        order = self.of_all_processes(ids).argsort()
        return self.of_all_processes(scores)[order], self.of_all_processes(parameters)[order]

    def _crop_for(self, stage: MoESRStage, hr: Tensor, least: int) -> Tensor:
        """The centre of the crops that gives LR patches of the side asked for, or of what there is."""
        lr_side = max(self.lr_patch, least)
        return crop_for_lr(hr, stage.scale, lr_side, least, stage.kernel_size - 1, stage.kernel_size)

    def count_step(self) -> None:
        """Count the step; hand the middle expert's weights on after the warm start."""
        active = self.active_experts() if self._phase == "experts" else []
        phases.count_step(self.all_stages(), self._phase, active)
        if active == [MIDDLE] and self.expert is None:
            for stage in self.all_stages():
                if int(stage.expert_steps[MIDDLE]) == self.schedule.warm:
                    stage.bank.broadcast(MIDDLE)
                    stage.expert_steps.fill_(self.schedule.warm)
                    self._broadcast_moments(stage)

    def _broadcast_moments(self, stage: MoESRStage) -> None:
        """Adam's moments of the middle expert for all, so that their next step is of the usual size."""
        optimizer = self.trainer.optimizers[0]
        for parameter in stage.bank.parameters():
            for value in optimizer.state[parameter].values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.copy_(value[MIDDLE].clone().expand_as(value))

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
