"""The one shape in which the study's analyses see scores: a tidy frame, one row a score.

Every input (our score store, the study's files, anybody's CSV) is brought to it; every analysis starts from it.
"""

from __future__ import annotations

import pandas as pd

COLUMNS = ("technique", "dataset", "domain", "image", "file", "metric", "value")
"""Names of the columns of a tidy frame.

- ``technique``, ``dataset``, ``metric``: names as in :mod:`octosr.catalog` and the store, e.g. ``dan``, ``isaid``,
  ``niqe``.
- ``domain``: the study's domain of the dataset, or ``Other``.
- ``image``: what pairs images over techniques: the LR stem, without ``_x2_x4``, ``_res`` and the like. Generated images
  (``seed1000``, ``17``) pair with nothing.
- ``file``: the name as it was found.
- ``value``: float64; NaN means not available.
"""


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame itself, if it is a tidy frame.

    Raises:
        ValueError: columns are missing, or a score stands there twice.
    """
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise ValueError(f"A frame of scores needs the columns {COLUMNS}; {missing} are missing.")
    twice = frame.duplicated(["technique", "dataset", "metric", "file"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise ValueError(
            f"The {row['metric']} of {row['file']} ({row['technique']} on {row['dataset']}) stands there twice."
        )
    return frame
