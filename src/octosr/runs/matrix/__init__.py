"""The whole study as cells (technique x dataset x seed) of training and evaluation: planned, run, watched.

Each cell is a process of its own whose state is on disk (:mod:`octosr.runs.cells`); nothing else is remembered, so the
matrix may be ended in any way at any moment and started again.
"""
