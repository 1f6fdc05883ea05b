"""A person's own images: from files to enlarged files, of any size.

Knows techniques (their base), data, degradation and errors; only ``octosr.runs`` knows it.
"""

import octosr._torchvision  # noqa: F401  (before anything that imports torchvision)
