"""Many images one after the other: read ahead, enlarged in batches, encoded while the network goes on.

``reading`` decodes in a thread of its own, ``run`` enlarges in the caller's thread what ``grouping`` puts together,
``writing`` encodes on a few more threads, and ``finishing`` gives the results their names, in the order of the images.
"""

from octosr.prediction.flow.run import enlarge_all
from octosr.prediction.flow.watcher import Watcher

__all__ = ["Watcher", "enlarge_all"]
