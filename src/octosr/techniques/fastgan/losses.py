"""FastGAN's adversarial losses: hinge with margins drawn anew for each score."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def hinge(logits: Tensor, numbers: Tensor, *, real: bool) -> Tensor:
    """Mean of max(0, m - l) for real images and max(0, m + l) for generated ones, m from 0.8 to 1.

    Args:
        logits: (B, 50).
        numbers: uniform in [0, 1), of the same shape: the margin is 0.8 + 0.2 times these.
        real: of which kind the images are.
    """
    margin = numbers.to(logits.dtype) * 0.2 + 0.8
    return F.relu(margin - logits if real else margin + logits).mean()
