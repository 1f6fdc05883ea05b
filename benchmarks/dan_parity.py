"""Compare our DAN with the public implementation on the same random weights.

    python benchmarks/dan_parity.py --upstream PATH_OF_A_CLONE_OF_greatlog/DAN

PyTorch's default weights make v2's SR images nearly a thousand in value, because its groups double their paths (see
``group_doubling``), and a kernel estimated from those is one tap. So the weights of the layer after the groups are
divided by a thousand: the images are of order one, as with trained weights, and 1e-5 means what it should.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from dan_upstream import build_upstream

from octosr.techniques.dan.layout import load_official
from octosr.techniques.dan.network_v1 import build_v1
from octosr.techniques.dan.network_v2 import build_v2

CASES = [(v, s, 21, 10) for v in (1, 2) for s in (2, 3, 4)] + [(2, 2, 11, 10), (2, 4, 31, 15)]


def differences(
    clone: Path, version: int, scale: int, size: int, components: int, side: tuple[int, int], dtype: torch.dtype
) -> float:
    """Largest absolute difference of SR, code and (v2) kernel over every number of iterations up to four."""
    torch.manual_seed(scale)
    basis = torch.linalg.qr(torch.randn(size**2, components))[0]
    theirs = build_upstream(clone, version, scale, basis)
    if version == 2:
        with torch.no_grad():
            theirs.get_parameter("Restorer.fusion.weight").div_(1000)
    ours = (build_v1 if version == 1 else build_v2)(scale, kernel_size=size, components=components)
    load_official(ours, theirs.state_dict(), Path("memory"))
    theirs, ours = theirs.to(dtype), ours.to(dtype)
    lr = torch.rand(2, 3, *side, dtype=dtype)
    worst = 0.0
    with torch.no_grad():
        expected = theirs(lr)
        for iterations in range(1, 5):
            ours.iterations = iterations
            for index, tensor in enumerate(ours(lr)[: len(expected)]):
                reference = expected[index][iterations - 1]
                worst = max(worst, (tensor.reshape(reference.shape) - reference).abs().max().item())
    return worst


def main() -> None:
    """Print one line a case: sides that are multiples of 4 take the fast convolutions, others do not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", type=Path, required=True)
    clone = parser.parse_args().upstream
    for version, scale, size, components in CASES:
        for side in ((28, 36), (27, 30)):
            single, double = (
                differences(clone, version, scale, size, components, side, dtype)
                for dtype in (torch.float32, torch.float64)
            )
            print(
                f"v{version} x{scale} l={size} p={components} LR {side[0]}x{side[1]}: "
                f"largest difference float32 {single:.1e}, float64 {double:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
