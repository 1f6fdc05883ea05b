"""Why one image was not enlarged."""

from __future__ import annotations

from octosr.errors import OctoSRError


class CannotEnlarge(OctoSRError):  # noqa: N818  (the name says it all)
    """The image was read, but cannot be enlarged or written as asked; the message says why and what helps."""
