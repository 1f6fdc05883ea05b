#!/usr/bin/env bash
# The whole study: train, evaluate, report. Finished work is not done again, so the same line goes on where it stopped.
#
#   ./multirun.sh                                            all techniques on the 14 datasets
#   ./multirun.sh techniques=bicubic,lanczos datasets=isaid,ships data.root=FOLDER
#   ./multirun.sh techniques=dan,bicubic time_limit.total=10m eval:metrics=niqe report:pair=[dan,bicubic]
#
# techniques= and datasets= take names with commas between. train:KEY=VALUE, eval:KEY=VALUE and report:KEY=VALUE are
# settings of one command; all others are for train.py and eval.py both, data.root= and output_root= for report.py too.
# A cell that fails stops no other. The report is made of what there is; the exit code is 1 if anything failed.
set -uo pipefail
trap 'exit 130' INT
trap 'exit 143' TERM

here=$(dirname "$0")
python=${PYTHON:-$here/.venv/bin/python}
[ -x "$python" ] || python=python3

techniques=
datasets='glob(*)'
train=() eval=() report=()
for argument in "$@"; do
  case $argument in
    techniques=*) techniques=${argument#*=} ;;
    datasets=*) datasets=${argument#*=}; report+=("datasets=[$datasets]") ;;
    train:*) train+=("${argument#train:}") ;;
    eval:*) eval+=("${argument#eval:}") ;;
    report:*) report+=("${argument#report:}") ;;
    data.root=* | output_root=*) train+=("$argument"); eval+=("$argument"); report+=("$argument") ;;
    *=*) train+=("$argument"); eval+=("$argument") ;;
    *) echo "error: '$argument' is not a setting (KEY=VALUE); see the head of $0" >&2; exit 2 ;;
  esac
done
if [ -z "$techniques" ]; then  # the study's, the baselines, and the probe of the sanity gates: those that are here
  for name in apa blindsr dan fastgan moesr nearest bilinear bicubic lanczos bicubic_noise; do
    [ -f "$here/conf/technique/$name.yaml" ] && techniques+=${techniques:+,}$name
  done
fi
trained=$("$python" -m octosr.runs.trainable "$here/conf" "$techniques") || exit 1

failed=0
group=++logger.group=study  # one group in W&B
if [ -n "$trained" ]; then
  echo "1/3  training $trained"
  "$python" "$here/train.py" -m "technique=$trained" "dataset=$datasets" $group ${train[@]+"${train[@]}"} || failed=1
else
  echo "1/3  training: nothing to train in $techniques"
fi
echo "2/3  evaluating $techniques"
"$python" "$here/eval.py" -m "technique=$techniques" "dataset=$datasets" $group ${eval[@]+"${eval[@]}"} || failed=1
echo "3/3  report"
"$python" "$here/report.py" "techniques=[$techniques]" ${report[@]+"${report[@]}"} || failed=1
exit $failed
