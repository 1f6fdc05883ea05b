"""The sections of the report: each takes the :class:`~octosr.study.analysis.Analysis` and says what it found."""
