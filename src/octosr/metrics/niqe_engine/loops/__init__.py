"""What CPUs spend their time on, compiled by Numba (``octosr.compiled``); imported where it is first called.

Numba looks for changes in the file of a compiled function only. So those here call none of other files, and what they
take from elsewhere does not change.
"""
