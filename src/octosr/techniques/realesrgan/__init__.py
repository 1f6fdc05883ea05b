"""Real-ESRGAN (Wang et al., ICCV workshops 2021, arXiv:2107.10833): a network that a pip package brings."""
