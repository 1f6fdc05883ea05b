"""The console command ``octosr``: the scripts of the repository as verbs, ``octosr eval`` for ``python eval.py``.

A verb is a module here with a function ``main``; one line of :data:`VERBS` makes it known. Importing this package
imports neither Hydra nor torch, so that ``octosr --help`` answers at once.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Sequence

from octosr import __version__
from octosr.errors import nearest
from octosr.typed import typed_with_console_command

VERBS = {
    "train": "train one technique on one dataset; again: goes on where it stopped",
    "eval": "super-resolve a dataset, score it, save images and tables",
    "predict": "enlarge your own images: files, folders, patterns",
    "prepare": "get the study's datasets or weights, check them, or build a dataset from your own images",
    "matrix": "the whole study, cell by cell: train, evaluate, report; again: goes on where it stopped",
    "report": "tables, statistics, figures and one HTML page from all scores",
    "doctor": "what this machine has, and what is missing for which command",
    "demo": "something to see in minutes: a small DAN against bicubic",
}
"""Verb -> what it does; ``octosr.commands.VERB.main`` does it."""

EXAMPLES = (
    "octosr predict input=photos/ output=big/",
    "octosr eval technique=bicubic dataset=more/folder dataset.path=PHOTOS",
    "octosr eval -m technique=bicubic,lanczos 'dataset=glob(*)'",
    "octosr train technique=dan dataset=isaid trainer.max_steps=2000",
    "octosr prepare dataset=isaid from=PHOTOS",
    "octosr eval technique=dan dataset=isaid --config-dir MY_CONF",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; ends with SystemExit where the verb or this function has an exit code to give.

    Args:
        arguments: what follows ``octosr`` on the command line; None: take it from there.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    typed_with_console_command()
    completion = _completion(words)
    if completion is not None:
        sys.stdout.write(completion)
    elif not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_text())
    elif words[0] in ("-V", "--version"):
        sys.stdout.write(f"octosr {__version__}\n")
    elif words[0] in VERBS:
        _run(words[0], words[1:])
    else:
        known = f" Verbs: {', '.join(VERBS)}; octosr --help says what they do."
        sys.stderr.write(f"error: octosr has no verb '{words[0]}'.{nearest(words[0], VERBS)}{known}\n")
        sys.exit(2)


def help_text() -> str:
    """What ``octosr --help`` prints: verbs, groups of the configuration with their choices, examples."""
    from octosr.runs.conf import groups_text

    width = max(map(len, VERBS))
    lines = ["Blind image super-resolution at 8x: train, run and judge techniques.", ""]
    lines += ["octosr VERB [KEY=VALUE ...]", "", "Verbs"]
    lines += [f"  {verb:<{width}}  {about}" for verb, about in VERBS.items()]
    lines += ["", "Groups of train and eval: GROUP=CHOICE"]
    lines += [groups_text(), "", "Examples", *(f"  {example}" for example in EXAMPLES), ""]
    lines += [
        "octosr VERB --help       groups, keys and examples of a verb",
        "octosr VERB --cfg job    all keys and their values (train and eval: with dataset=NAME)",
        "octosr VERB -m ...       several values with commas between: one run for each combination",
        'eval "$(octosr -sc install=bash)"   completion in bash, for this shell; put it in ~/.bashrc for all',
    ]
    return "\n".join(lines) + "\n"


def _run(verb: str, rest: Sequence[str]) -> None:
    """As if the verb's module had been called as a script, so that a process that Lightning starts again finds it."""
    module = importlib.import_module(f"octosr.commands.{verb}")
    sys.argv[:] = [str(module.__file__), *rest]
    module.main()


def _completion(words: Sequence[str]) -> str | None:
    """The text of ``octosr -sc install=bash`` and ``uninstall=bash``; None for anything else."""
    for flag, what in itertools.pairwise(words):
        if flag in ("-sc", "--shell-completion") and what in ("install=bash", "uninstall=bash"):
            from octosr.commands.completion import install, uninstall

            return install() if what == "install=bash" else uninstall()
    return None
