"""Imported by the server process whose copies the cells are: everything that every cell needs."""

import octosr.runs.evaluate
import octosr.runs.train  # noqa: F401
