#!/usr/bin/env bash
# The whole study: train, evaluate, report. Finished work is not done again, so the same line goes on where it stopped.
#
#   ./multirun.sh                                            all techniques on the 14 datasets
#   ./multirun.sh techniques=bicubic,lanczos datasets=isaid,ships data.root=FOLDER
#   ./multirun.sh --dry-run techniques=dan,bicubic           what would be run, and why
#   ./multirun.sh --help                                     all options
here=$(dirname "$0")
python=${PYTHON:-$here/.venv/bin/python}
[ -x "$python" ] || python=python3
exec "$python" -m octosr.commands.matrix "$@"  # in this process's place: a signal to this script is one to the matrix
