"""Gradients of several backward passes and several processes, added up so that their order does not matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class GradientSums:
    """Adds up gradients in 64-bit floats, and gives the parameters the mean over the processes in their own.

    In 64 bits the sum of a few 32-bit numbers is exact, unless one is more than 2^25 times another. So it is the same
    in whatever order they come: N processes get to the bit what one gets from N micro-batches of the same images.
    That is worth the memory (8 bytes a parameter of the network that a phase trains): FastGAN magnifies a last digit
    of its gradients to a hundredth of its losses within eight steps, see docs/cluster.md.

    >>> weight = nn.Parameter(torch.zeros(1))
    >>> sums = GradientSums()
    >>> for value in (1e8, 1.0, -1e8):
    ...     weight.grad = torch.tensor([value])
    ...     sums.add([weight])
    >>> sums.give([weight], processes=1)
    >>> weight.grad
    tensor([1.])
    """

    def __init__(self) -> None:
        self._sums: dict[nn.Parameter, Tensor] = {}

    def add(self, parameters: Iterable[nn.Parameter]) -> None:
        """Take over the gradients of those parameters that have one."""
        for parameter in parameters:
            if parameter.grad is None:
                continue
            known = self._sums.get(parameter)
            self._sums[parameter] = parameter.grad.double() if known is None else known.add_(parameter.grad)
            parameter.grad = None

    def give(self, parameters: Sequence[nn.Parameter], processes: int) -> None:
        """Give each parameter its sum, divided by the number of processes, as gradient; and begin anew.

        Args:
            parameters: the same on every process; those without a sum are left out.
            processes: over which to add up and average, with one all-reduce; all of them must call this.
        """
        known = [parameter for parameter in parameters if parameter in self._sums]
        if not known:
            return
        sums = [self._sums[parameter] for parameter in known]
        self._sums.clear()
        if processes > 1:
            flat = torch.cat([values.reshape(-1) for values in sums])
            torch.distributed.all_reduce(flat)
            sums = list(flat.div_(processes).split([values.numel() for values in sums]))
        for parameter, values in zip(known, sums, strict=True):
            parameter.grad = values.view_as(parameter).to(parameter.dtype)
