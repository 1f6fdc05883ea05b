"""What makes a finished cell count as not done: changed settings, data or weights, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig
from PIL import Image

from octosr.runs.fingerprint import differences, digest_of_configs, digest_of_files, inputs_of, settings_of


def test_only_settings_that_change_the_result_count(composer: Callable[..., DictConfig]) -> None:
    base = ("technique=dan", "dataset=isaid", "size=tiny", "output_root=out")
    before = settings_of(composer("train", *base), "train")
    moved = ("output_root=/elsewhere/out", "logger=none", "time_limit.allocation=2h", "hardware=cpu")
    same = settings_of(composer("train", *base[:3], *moved), "train")
    assert differences(before, same) == []
    more = settings_of(composer("train", *base, "trainer.max_steps=7", "time_limit.total=4d"), "train")
    assert set(differences(before, more)) == {"trainer.max_steps: -1 -> 7", "time_limit.total: None -> 4d"}


def test_of_an_evaluation_the_training_settings_do_not_count(composer: Callable[..., DictConfig]) -> None:
    base = ("technique=dan", "dataset=isaid", "metrics=niqe")
    before = settings_of(composer("eval", *base), "eval")
    same = settings_of(
        composer("eval", *base, "time_limit.total=4d", "hardware=v100x4", "trainer.precision=32-true"), "eval"
    )
    assert differences(before, same) == []
    other = settings_of(composer("eval", *base, "metrics.niqe.crop_border=8", "trainer.precision=bf16-mixed"), "eval")
    assert differences(before, other) == [
        "metrics.niqe.crop_border: 0 -> 8",
        "trainer.precision: 32-true -> bf16-mixed",
    ]


def test_changed_images_and_weights_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "isaid"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    settings = {"dataset.name": "isaid", "dataset.path": None, "data.root": str(tmp_path / "data"), "weights": None}

    def now() -> dict[str, str]:
        return inputs_of(settings, tmp_path, "eval", "dan")

    first = now()
    assert now() == first
    os.utime(folder / "a.png", (1, 1))
    assert now()["data"] != first["data"]
    assert now()["weights"] == first["weights"]
    checkpoint = tmp_path / "checkpoints/dan/isaid/last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"x")
    assert now()["weights"] != first["weights"]
    assert "weights" not in inputs_of(settings, tmp_path, "train", "dan")
    assert inputs_of(settings | {"weights": str(checkpoint)}, tmp_path, "train", "dan")["weights"] == now()["weights"]
    (folder / "a.png").unlink()
    assert now()["data"] == digest_of_files([])


def test_configs_are_compared_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("x: 1\n")
    first = digest_of_configs(tmp_path)
    (tmp_path / "a.yaml").touch()
    assert digest_of_configs(tmp_path) == first
    (tmp_path / "a.yaml").write_text("x: 2\n")
    assert digest_of_configs(tmp_path) != first
