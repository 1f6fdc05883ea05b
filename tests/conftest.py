"""What all tests share: the shim first, the repository's folder, configs composed as the entry points do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Before PyTorch and NumPy are loaded, here and in every process that a test starts. What tests compute is small: two
# threads would wait for each other most of the time, and with a worker of xdist on every core, all of it. Tests of work
# shared out over threads ask for ``threads`` or ``two_threads``; OMP_NUM_THREADS=2 runs all the others so too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where there are two, on cores that others use, waiting ones must not spin: it doubles what such tests take.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor

import octosr._torchvision  # noqa: F401
from octosr.runs.metrics_group import register_metrics

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # so that tests of every folder can import download_server
register_metrics(ROOT / "conf")  # as the entry points do
os.environ.setdefault("WANDB_MODE", "offline")
os.environ["WANDB_SILENT"] = "true"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests want to be seen though they passed: ``record_property("shown", TEXT)``."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "shown" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid}: {text}")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def composer() -> Callable[..., DictConfig]:
    """``composer("train", "technique=dan", ...)`` gives the config that ``train.py`` would get."""

    def make(name: str, *overrides: str) -> DictConfig:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return compose(name, list(overrides))

    return make


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which the demo set has been built once for the whole session."""
    from octosr.data.demo import build_demo

    cache = tmp_path_factory.mktemp("cache")
    build_demo(cache)
    return cache


@pytest.fixture
def smooth_images() -> Callable[..., Tensor]:
    """``smooth_images(count, height, width, seed)``, see below."""
    return _smooth_images


def _smooth_images(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Random pictures with edges and flat parts, 8-bit values, (count, 3, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, height // 4 + 2, width // 4 + 2, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    images = torch.where(images > 0.6, images, images * 0.5)
    return images.mul(255).round().div(255)


@pytest.fixture(autouse=True)
def _threads_put_back() -> Iterator[None]:
    """A test may set the number of PyTorch's threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def two_threads() -> None:
    """The test runs with two threads: ``map_on_cores`` and the like share their work out."""
    torch.set_num_threads(2)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> int:
    """The test runs with one thread, and again with two."""
    torch.set_num_threads(request.param)
    return int(request.param)
