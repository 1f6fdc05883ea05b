"""MANIQA inside somebody's training: no tensor of it in checkpoint or optimizer. And in two processes: the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from octosr.metrics.maniqa import Maniqa
from octosr.metrics.maniqa_network import load_network
from scripts import module_of


class Scored(LightningModule):
    """Scores its images with MANIQA in training and in validation, the metrics being its attributes."""

    def __init__(self, weights):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)
        self.maniqa = Maniqa(weights)
        self.others = nn.ModuleList([Maniqa(weights, protocol="study_official")])
        self.training_scores = []

    def training_step(self, batch, batch_index):
        images, _ = batch
        made = self.layer(images).sigmoid()
        self.training_scores.append(self.maniqa.score(made.detach()))
        return (made - images).square().mean()

    def validation_step(self, batch, batch_index):
        images, index = batch
        for metric in (self.maniqa, *self.others):
            metric.update(self.layer(images).sigmoid(), index)
        self.log("val/maniqa", self.maniqa, on_epoch=True)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.1)


def test_a_checkpoint_of_a_run_that_scores_holds_none_of_it(tiny, pictures, tmp_path):
    data = DataLoader(TensorDataset(pictures(2, 48, 40), torch.arange(2)), batch_size=2)
    module = Scored(tiny)
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        default_root_dir=tmp_path,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, data, data)
    assert len(module.training_scores) == 2
    assert module.maniqa.crop_forwards == 8
    assert float(trainer.callback_metrics["val/maniqa"]) > 0.1
    (file,) = tmp_path.rglob("*.ckpt")
    checkpoint = torch.load(file, weights_only=True)
    assert sorted(checkpoint["state_dict"]) == ["layer.bias", "layer.weight"]
    (optimizer,) = checkpoint["optimizer_states"]
    assert len(optimizer["state"]) == sum(len(group["params"]) for group in optimizer["param_groups"]) == 2
    assert file.stat().st_size < 50_000
    network = load_network("koniq", tiny)
    for name, value in module.maniqa._network(torch.device("cpu")).state_dict().items():
        assert torch.equal(value, network.state_dict()[name])  # and training changed none of it


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tiny, tmp_path):
    """Seven images, so that one is repeated to make the shares equal."""
    worker = Path(__file__).with_name("ddp_worker.py")
    command = [sys.executable, str(worker), str(tiny)]
    workers = [
        subprocess.Popen([*command, rank, "2", str(tmp_path / "store")], stdout=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    alone = module_of(worker).score(str(tiny), 0, 1)
    outputs = [process.communicate(timeout=600)[0] for process in workers]
    assert [process.returncode for process in workers] == [0, 0]
    both = [json.loads(output.splitlines()[-1]) for output in outputs]
    for together in both:
        assert together["index"] == alone["index"] == list(range(7))
        assert together["scores"] == pytest.approx(alone["scores"], rel=1e-12)
        assert together["mean"] == pytest.approx(alone["mean"], rel=1e-12)
