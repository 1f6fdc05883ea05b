"""Super-resolution of images of any size in bounded memory: tile by tile, rows handed on as they are done.

>>> from octosr.prediction.tiling import ArraySource, ListSink, upscale
>>> from octosr.techniques.interpolation import Interpolation
>>> import torch
>>> sink = ListSink()
>>> report = upscale(Interpolation("bicubic", "bicubic", 2), ArraySource(torch.rand(3, 9, 7)), sink, tile=4)
>>> tuple(sink.image().shape), report.tile
((3, 18, 14), 4)
"""

from octosr.prediction.tiling.engine import upscale
from octosr.prediction.tiling.ports import ArraySource, ListSink, Report, Sink, Source

__all__ = ["ArraySource", "ListSink", "Report", "Sink", "Source", "upscale"]
