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


def differences(clone: Path, version: int, scale: int, size: int, components: int, dtype: torch.dtype) -> list[float]:
    """Largest absolute difference of SR, code and (v2) kernel after every number of iterations up to four."""
    torch.manual_seed(scale)
    basis = torch.linalg.qr(torch.randn(size**2, components))[0]
    theirs = build_upstream(clone, version, scale, basis)
    if version == 2:
        with torch.no_grad():
            theirs.get_parameter("Restorer.fusion.weight").div_(1000)
    ours = (build_v1 if version == 1 else build_v2)(scale, kernel_size=size, components=components)
    load_official(ours, theirs.state_dict(), Path("memory"))
    theirs, ours = theirs.to(dtype), ours.to(dtype)
    lr = torch.rand(2, 3, 37, 30, dtype=dtype)
    with torch.no_grad():
        expected = theirs(lr)
        found: list[float] = []
        for iterations in range(1, 5):
            ours.iterations = iterations
            estimate = ours(lr)
            for index, tensor in enumerate(estimate[: len(expected)]):
                reference = expected[index][iterations - 1]
                found.append((tensor.reshape(reference.shape) - reference).abs().max().item())
    if version == 1 and len(expected) != 2:
        raise SystemExit("the public v1 network was expected to return SR images and codes.")
    return found


def main() -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path, required=True)
    clone = parser.parse_args().upstream
    for version, scale, size, components in CASES:
        worst = {
            dtype: max(differences(clone, version, scale, size, components, dtype))
            for dtype in (torch.float32, torch.float64)
        }
        line = ", ".join(f"{str(dtype)[6:]} {value:.1e}" for dtype, value in worst.items())
        print(f"v{version} x{scale} l={size} p={components}: largest difference {line}")


if __name__ == "__main__":
    main()
