"""Files written row by row: PNG and TIFF as the rows come, JPEG, WebP and BMP from one 8-bit picture in memory."""

from octosr.prediction.writers.base import Layout, Writer, open_writer

__all__ = ["Layout", "Writer", "open_writer"]
