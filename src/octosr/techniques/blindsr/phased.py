"""Training of BlindSR in Lightning: the losses of its phases, and what is measured."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torchmetrics import MeanMetric

from octosr.nn.precision import at_least_single
from octosr.techniques.base import psnr_per_image
from octosr.techniques.blindsr import phases, training
from octosr.techniques.blindsr.calibration import calibration_loss
from octosr.techniques.blindsr.stage import BlindSRStage
from octosr.techniques.blindsr.weights import add_calibration, adopt_spaces
from octosr.techniques.phased import PhasedTechnique, crop_for_lr

SMALLEST_LR = 8
"""LR pixels a side that a training crop has at least."""


class PhasedTraining(PhasedTechnique[BlindSRStage]):
    """What of BlindSR trains; :class:`~octosr.techniques.blindsr.module.BlindSR` sets the attributes.

    Attributes:
        drawing: how blurs are drawn.
        lr_patch: side of the LR crops of training.
        calibration_double: see :func:`calibration_loss`.
        val_loss: of the discriminator, on held-out images.
    """

    # The calibration may be made, and made anew, for networks that are there: these settings may change meanwhile.
    run_settings: ClassVar[tuple[str, ...]] = (
        *("phase", "calibration_steps", "calibration_rate", "calibration_double", "search.calibration"),
    )
    inference_settings: ClassVar[tuple[str, ...]] = ("search",)
    drawing: training.Drawing
    lr_patch: int
    calibration_double: bool
    val_loss: MeanMetric

    def networks(self) -> list[nn.Module]:
        """The generators and discriminators."""
        return [network for stage in self.all_stages() for network in (stage.generator, stage.discriminator)]

    def steps_done(self, stage: BlindSRStage, name: str) -> int:
        """For how many steps the network that a phase trains is trained."""
        return phases.steps_done(stage, name)

    def count_step(self) -> None:
        """Count the step."""
        phases.count_step(self.all_stages(), self._phase)

    def require_earlier(self, name: str) -> None:
        """Check that a discriminator has generators to learn from, and a calibration both."""
        if name == "discriminator":
            phases.require_generator(self.all_stages())
        if name == "calibration":
            phases.require_networks(self.all_stages())

    def trained_network(self, stage: BlindSRStage, name: str) -> nn.Module:
        """The generator, the discriminator or the calibration."""
        networks = {
            "generator": stage.generator,
            "discriminator": stage.discriminator,
            "calibration": stage.calibration,
        }
        return networks[name]

    def stage_loss(self, stage: BlindSRStage, batch: dict[str, Tensor]) -> Tensor:
        """The loss of the generator, of the discriminator or of the calibration."""
        hr = self._crop_for(stage, batch["hr"], self.lr_patch)
        if self._phase == "calibration":
            error = calibration_loss(
                stage, hr, batch["sample_id"], self.drawing.seed, self.of_all_processes, self.calibration_double
            )
            self.log(f"train/covariance_error_x{stage.scale}", error.detach())
            return error
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
        return crop_for_lr(hr, stage.scale, lr_side, SMALLEST_LR, 2 * stage.space.rim, stage.space.size)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the kernels of the checkpoint: those of published weights are not the configured ones.

        A checkpoint from before there was a calibration is given an untrained one.
        """
        adopt_spaces(self, checkpoint["state_dict"])
        add_calibration(self, checkpoint["state_dict"])
        phases.add_optimizer_group(
            checkpoint, [self.trained_network(stage, "calibration") for stage in self.all_stages()]
        )

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """PSNR of the last stage with the true kernel, and of bicubic, on random kernels; the discriminator's loss.

        The search is left out: it would take longer than the training between two validations.
        """
        stage = self.stage(self.stages[-1])
        hr = self._crop_for(stage, batch["hr"], None)
        pairs = training.make_pairs(stage, hr, batch["sample_id"], self.drawing)
        sr = at_least_single(training.generate(stage, pairs, pairs.blur).sr).clamp(0, 1)
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
