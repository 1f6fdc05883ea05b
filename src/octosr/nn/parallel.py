"""A batch on several CPU cores: each core works on its own images, instead of all of them on every operation.

The fast convolutions are many short operations. Split over cores inside each operation, the cores wait for each other
thousands of times a step and hand all data back and forth; with a part of the batch each, they meet once.
For networks that do not mix the images of a batch the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from octosr.cores import pool

Outputs = tuple[Tensor | None, ...]
Part = Callable[..., Outputs]


def run(part: Part, batch: tuple[Tensor | None, ...], parameters: list[Tensor]) -> Outputs:
    """Call ``part`` on a share of the batch on each core, and put the results together.

    Args:
        part: takes the tensors of ``batch``, shortened to some of the images, and returns tensors (B, ...) or None.
        batch: tensors (B, ...), none of which needs a gradient, or None.
        parameters: all tensors that ``part`` depends on besides and that may need a gradient.

    Returns:
        What ``part`` returns for the whole batch, differentiable once.
    """
    if torch.is_grad_enabled() and any(p.requires_grad for p in parameters):
        outputs: Outputs = _Parts.apply(part, batch, *parameters)
        return outputs
    return _join(list(pool(torch.get_num_threads()).map(_without_gradient(part), _shares(batch))))


def worthwhile(images: Tensor) -> bool:
    """Whether there are several images and cores, and no gradient of the images is wanted."""
    if torch.compiler.is_compiling():  # the compiler shares out the work by itself
        return False
    return len(images) > 1 and torch.get_num_threads() > 1 and not images.requires_grad


class _Parts(torch.autograd.Function):
    """Keeps one graph a core, and walks each of them backwards on a core of its own."""

    @staticmethod
    def forward(ctx: Any, part: Part, batch: tuple[Tensor | None, ...], *parameters: Tensor) -> Outputs:
        workers = pool(torch.get_num_threads())
        ctx.results = list(workers.map(lambda share: _with_gradient(part, share), _shares(batch)))
        ctx.parameters = parameters
        ctx.set_materialize_grads(False)
        return tuple(None if o is None else o.detach() for o in _join(ctx.results))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        wanted = [p for p, needed in zip(ctx.parameters, ctx.needs_input_grad[2:], strict=True) if needed]
        results, ctx.results = ctx.results, None
        tasks, start = [], 0
        for outputs in results:
            size = next(len(o) for o in outputs if o is not None)
            own = [None if g is None else g[start : start + size] for g in gradients]
            tasks.append([(o, g) for o, g in zip(outputs, own, strict=True) if o is not None and g is not None])
            start += size
        found = list(pool(torch.get_num_threads()).map(lambda task: _walk_back(task, wanted), tasks))
        sums = iter([_sum(column) for column in zip(*found, strict=True)])
        return None, None, *(next(sums) if needed else None for needed in ctx.needs_input_grad[2:])


def _with_gradient(part: Part, share: tuple[Tensor | None, ...]) -> Outputs:
    with torch.enable_grad():
        return part(*share)


def _without_gradient(part: Part) -> Callable[[tuple[Tensor | None, ...]], Outputs]:
    inference = torch.is_inference_mode_enabled()  # both modes belong to a thread, so they are carried over

    def run_part(share: tuple[Tensor | None, ...]) -> Outputs:
        with torch.inference_mode(inference), torch.no_grad():
            return part(*share)

    return run_part


def _walk_back(task: list[tuple[Tensor, Tensor]], parameters: list[Tensor]) -> tuple[Tensor | None, ...]:
    pairs = [(output, gradient) for output, gradient in task if output.requires_grad]
    if not pairs:
        return (None,) * len(parameters)
    outputs, gradients = zip(*pairs, strict=True)
    return torch.autograd.grad(outputs, parameters, gradients, allow_unused=True)


def _sum(gradients: tuple[Tensor | None, ...]) -> Tensor | None:
    present = [g for g in gradients if g is not None]
    if not present:
        return None
    total = present[0].clone() if len(present) > 1 else present[0]
    for gradient in present[1:]:
        total.add_(gradient)
    return total


def _shares(batch: tuple[Tensor | None, ...]) -> list[tuple[Tensor | None, ...]]:
    """The batch in as many parts of nearly equal size as there are cores."""
    count = next(len(t) for t in batch if t is not None)
    parts = min(torch.get_num_threads(), count)
    split = [[None] * parts if t is None else list(t.tensor_split(parts)) for t in batch]
    return list(zip(*split, strict=True))


def _join(results: list[Outputs]) -> Outputs:
    """Concatenate over the parts, output by output."""
    columns = zip(*results, strict=True)
    return tuple(None if column[0] is None else torch.cat([t for t in column if t is not None]) for column in columns)
