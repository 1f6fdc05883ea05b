"""Imported by the server process whose copies the cells are: everything that every cell needs."""

from octosr.runs.light_imports import import_lightning

import_lightning()

import octosr.runs.evaluate  # noqa: E402
import octosr.runs.train  # noqa: E402, F401
