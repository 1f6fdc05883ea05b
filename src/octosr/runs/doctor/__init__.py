"""What this machine has, what is missing for which command, and the line that mends it. Asks no network."""

from octosr.runs.doctor.examine import COMMANDS, doctor
from octosr.runs.doctor.finding import Finding

__all__ = ["COMMANDS", "Finding", "doctor"]
