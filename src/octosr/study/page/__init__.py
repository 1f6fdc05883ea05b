"""The report as one HTML file, with an explorer of the images."""

from octosr.study.page.explorer import ExplorerData, collect
from octosr.study.page.previews import Limits
from octosr.study.page.render import Extras, render_page, write
from octosr.study.page.sources import ImageRoots

__all__ = ["ExplorerData", "Extras", "ImageRoots", "Limits", "collect", "render_page", "write"]
