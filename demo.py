"""Something to see in minutes, on any machine: make demo"""

import sys
from pathlib import Path

from octosr.runs.cli import entry_point


@entry_point
def main() -> None:
    """Settings may follow as on every other command: python demo.py trainer.max_steps=500."""
    from octosr.runs.demo import demo

    demo(Path(__file__).parent / "conf", sys.argv[1:])


if __name__ == "__main__":
    main()
