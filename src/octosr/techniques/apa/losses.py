"""The losses of StyleGAN2: the logistic loss, R1, and the regularisation of path lengths."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def logistic(scores: Tensor, real: bool) -> Tensor:
    """Loss of each image, given that it is to be taken for real, or not.

    With ``real=True`` on generated images it is the generator's non-saturating loss (Goodfellow et al., 2014).

    >>> logistic(torch.tensor([0.0]), real=True)
    tensor([0.6931])
    """
    return F.softplus(-scores if real else scores)


def r1_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """Squared norm of the gradient of each score with respect to its image, (N,); differentiable.

    Mescheder et al., "Which Training Methods for GANs do actually Converge?", ICML 2018, equation 9 without gamma/2.

    Args:
        scores: (N,), from ``images``.
        images: (N, ...), with ``requires_grad``.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def path_lengths(images: Tensor, ws: Tensor, direction: Tensor, create_graph: bool = True) -> Tensor:
    """How far images move for a step in w: norm of the Jacobian's transpose times a random direction, (N,).

    Karras et al., CVPR 2020, section 3.2 and appendix B; the mean over the layers stands under the root.

    Args:
        images: (N, 3, H, W), made from ``ws``.
        ws: (N, layers, latent), with ``requires_grad``.
        direction: standard normal, of the shape of the images.
        create_graph: keep what is needed to differentiate the lengths.
    """
    weighted = (images * direction).sum() / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad(weighted, ws, create_graph=create_graph)
    gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float32))  # sums of squares do not fit 16 bits
    return gradient.square().sum(2).mean(1).sqrt()


def path_penalty(lengths: Tensor, mean: Tensor, average: Tensor, decay: float) -> Tensor:
    """Mean over images of ``(length - a)^2``, where a is the moving average that counts these lengths already.

    The average is differentiated too, as in the public code. Images may be spread over processes and micro-batches:
    with the mean over all of them given, the mean of the results has the gradient of the whole.

    Args:
        lengths: of the images here, (n,).
        mean: of the lengths of all images of the step, wherever they are, ().
        average: the moving average after this step, ().
        decay: the part of it that is this step's mean.
    """
    average, mean = average.detach(), mean.detach()
    # d/d lengths of the mean square runs over a, too: a moves by decay / n a length, and the squares by -2 (mean - a).
    through_average = -2 * (mean - average) * decay * (lengths.mean() - lengths.mean().detach())
    return (lengths - average).square().mean() + through_average
