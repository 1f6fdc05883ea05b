"""A wheel: it carries the configuration, and works from any folder without the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]

COMPOSE_ALL = """
import sys
from pathlib import Path
from hydra import compose, initialize_config_dir
import octosr
from octosr.runs.cli import entry_point
from octosr.runs.conf import conf_folder, groups

assert Path(octosr.__file__).is_relative_to(sys.argv[1]), octosr.__file__
assert conf_folder() == Path(octosr.__file__).parent / "conf"
options = groups()
shown = set()
with initialize_config_dir(str(conf_folder()), version_base="1.3"):
    for k in range(max(map(len, options.values()))):  # the k-th choice of every group at once
        words = [f"{group}={choices[k % len(choices)]}" for group, choices in options.items()]
        assert compose("train" if k % 2 else "eval", words)
        shown.update(words)
    assert compose("predict", ["input=photos", "output=big"])
assert len(shown) == sum(map(len, options.values()))
for name in ("prepare", "report"):
    with initialize_config_dir(str(conf_folder() / name), version_base="1.3"):
        assert compose(name)
print("composed,", "torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the wheel, without its dependencies."""
    pytest.importorskip("hatchling", reason="the wheel is built offline with the dev extra's hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    build = [*pip, "wheel", str(ROOT), *offline, "--no-build-isolation", "-w", str(folder / "dist")]
    subprocess.run(build, check=True, cwd=folder, timeout=600)
    (wheel,) = (folder / "dist").glob("octosr-*.whl")
    subprocess.run([*pip, "install", str(wheel), *offline, "--target", str(folder / "site")], check=True, timeout=600)
    return folder / "site"


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(installed), "COLUMNS": "160", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_every_config_composes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, sys.executable, "-c", COMPOSE_ALL, str(installed))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "composed, False\n"


@pytest.mark.slow
def test_the_console_command_of_the_wheel_super_resolves(installed: Path, tmp_path: Path) -> None:
    octosr = str(installed / "bin" / "octosr")
    done = run(installed, tmp_path, octosr, "--help")
    assert done.returncode == 0, done.stderr
    assert "  technique: apa, bicubic" in done.stdout
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "one.png")
    words = ("technique=nearest,bicubic", "dataset=more/folder", "dataset.path=photos", "metrics=lr_consistency")
    done = run(installed, tmp_path, octosr, "eval", "-m", *words, "logger=none")
    assert done.returncode == 0, done.stderr
    assert "2 cells" in done.stdout
    with Image.open(tmp_path / "outputs" / "hr" / "nearest" / "folder" / "one.png") as image:
        assert np.array_equal(np.asarray(image), pixels.repeat(8, axis=0).repeat(8, axis=1))
    assert (tmp_path / "outputs" / "hr" / "bicubic" / "folder" / "one.png").is_file()
    assert len(list((tmp_path / "outputs" / "runs" / "eval-multirun").iterdir())) == 1  # named as the script's runs are
    done = run(installed, tmp_path, octosr, "predict", "technique=nearest", "input=photos", "output=big")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "big" / "one.png") as image:
        assert np.array_equal(np.asarray(image), pixels.repeat(8, axis=0).repeat(8, axis=1))
