import octosr._torchvision  # noqa: F401  (before anything that imports torchvision)
