"""The settings of a tiny FastGAN, for tests in this process and in others."""

from __future__ import annotations

from pathlib import Path


def settings(photographs: Path, out: Path) -> list[str]:
    """The settings of a run on a folder of images, as on the command line."""
    return [
        "technique=fastgan", "experiment=tiny", "dataset=more/folder", f"dataset.path={photographs}",
        f"output_root={out}", "logger=none", "trainer.enable_progress_bar=false",
        "trainer.enable_model_summary=false", "data.batch_size=4", "technique.kimg=0.032",
        "callbacks.last.every_kimg=0.008", "callbacks.sample_grid=null", "callbacks.diversity=null",
    ]  # fmt: skip
