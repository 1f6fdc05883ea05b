"""``octosr matrix`` and ``./multirun.sh``: the whole study, cell by cell."""

import sys

from octosr.errors import OctoSRError


def main() -> None:
    """Imported late, so that ``--help`` is answered at once."""
    from hydra.errors import HydraException

    from octosr.runs.cli import explain
    from octosr.runs.matrix.study import study

    try:
        code = study(sys.argv[1:])
    except (OctoSRError, HydraException) as error:
        sys.stderr.write(f"error: {explain(error)}\n")
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
