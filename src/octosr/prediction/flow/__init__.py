"""Many images one after the other: read ahead, enlarged in batches, encoded while the network goes on.

``reading`` decodes in a thread of its own, :mod:`~octosr.prediction.flow.run` groups and enlarges in the caller's
thread, ``writing`` encodes on a few more, and ``finishing`` gives the results their names, in the order of the images.
"""

from octosr.prediction.flow.run import enlarge_all
from octosr.prediction.flow.watcher import Watcher

__all__ = ["Watcher", "enlarge_all"]
