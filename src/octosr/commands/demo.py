"""``octosr demo`` and ``python demo.py``: something to see in minutes, on any machine."""

import sys

from octosr.runs.cli import entry_point
from octosr.runs.conf import conf_folder


@entry_point
def main() -> None:
    """Settings may follow as on every other command: ``octosr demo trainer.max_steps=500``."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        sys.stdout.write(
            "octosr demo [KEY=VALUE ...]: trains a small DAN on embedded photographs, compares it with bicubic and\n"
            "draws the picture. The keys are those of octosr train and octosr eval. Needs pip install 'octosr[demo]'.\n"
        )
        return
    from octosr.runs.demo import demo

    demo(conf_folder(), sys.argv[1:])


if __name__ == "__main__":
    main()
