"""Lets the tests of this folder import ``ncnn_files``."""

import sys
from pathlib import Path

import octosr._torchvision  # noqa: F401  (before anything that imports torchvision)

sys.path.insert(0, str(Path(__file__).parent))
