"""What the entry points do. Importing this package imports no torch: a report is made without it.

Modules that import Lightning import :mod:`octosr._torchvision` first.
"""
