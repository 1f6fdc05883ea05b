"""Sanity gates: checks of the results themselves, shown before anybody reads a ranking."""

from octosr.study.analysis import Analysis
from octosr.study.document import Gate
from octosr.study.gates.baseline import baseline_gates
from octosr.study.gates.noise import noise_gates
from octosr.study.gates.provenance import definition_gate, direction_gate, kind_gate, pairing_gate
from octosr.study.gates.values import degenerate_gate, duplicate_gate, saturation_gate

__all__ = ["all_gates"]


def all_gates(analysis: Analysis) -> list[Gate]:
    """Every gate, in the order in which they are shown."""
    return [
        *baseline_gates(analysis),
        *noise_gates(analysis),
        saturation_gate(analysis),
        degenerate_gate(analysis),
        duplicate_gate(analysis),
        pairing_gate(analysis),
        direction_gate(analysis),
        definition_gate(analysis),
        kind_gate(analysis),
    ]
