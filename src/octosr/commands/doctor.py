"""``octosr doctor`` and ``python doctor.py``: what this machine has, and what is missing for which command."""

import sys

from octosr.errors import OctoSRError


def main() -> None:
    """Needs neither Hydra nor torch to work: it says so where they are missing."""
    from octosr.runs.doctor.examine import run

    try:
        code = run(sys.argv[1:])
    except OctoSRError as error:
        sys.stderr.write(f"error: {error}\n")
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
