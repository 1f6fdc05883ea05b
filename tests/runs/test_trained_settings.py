"""What evaluation takes from a checkpoint's card, and what it asks for anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from omegaconf import DictConfig

from octosr.runs.weights import describe_technique

Composer = Callable[..., DictConfig]


def test_fine_tuning_is_the_one_asked_for(tmp_path: Path, composer: Composer) -> None:
    folder = tmp_path / "checkpoints/moesr/isaid"
    folder.mkdir(parents=True)
    technique = {"features": 16, "finetune": {"preset": "fast", "steps": 7}}
    torch.save({"state_dict": {}, "octosr": {"technique": technique, "dataset": "isaid"}}, folder / "last.ckpt")
    asked = ("technique=moesr", "dataset=isaid", f"output_root={tmp_path}", "technique.finetune.preset=paper")
    arguments = describe_technique(composer("eval", *asked)).arguments
    assert arguments["features"] == 16
    assert (arguments["finetune"]["preset"], arguments["finetune"]["steps"]) == ("paper", None)


def test_networks_are_those_of_the_checkpoint_and_the_search_is_the_one_asked_for(
    tmp_path: Path, composer: Composer
) -> None:
    folder = tmp_path / "checkpoints/blindsr/isaid"
    folder.mkdir(parents=True)
    technique = {"features": 24, "stages": [2], "search": {"preset": "fast", "steps": 3, "calibration": "auto"}}
    torch.save({"state_dict": {}, "octosr": {"technique": technique, "dataset": "isaid"}}, folder / "last.ckpt")
    asked = ("technique.search.preset=paper", "technique.search.calibration=none")
    cfg = composer("eval", "technique=blindsr", "dataset=isaid", f"output_root={tmp_path}", *asked)
    arguments = describe_technique(cfg).arguments
    assert (arguments["features"], arguments["stages"]) == (24, [2])
    search = arguments["search"]
    assert (search["preset"], search["steps"], search["calibration"]) == ("paper", None, "none")
