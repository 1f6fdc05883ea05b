"""Files that appear whole or not at all: :mod:`octosr.atomic`, under the name that the data side knows it by."""

from octosr.atomic import write_bytes

__all__ = ["write_bytes"]
