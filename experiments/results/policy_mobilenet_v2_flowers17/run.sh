#!/bin/sh
# Every figure of this folder, from the model kept beside it. Run in the repository's root:
#   DATA=folder:DIR experiments/results/policy_mobilenet_v2_flowers17/run.sh [FOLDER FOR LOGITS]
set -eu
out=experiments/results/policy_mobilenet_v2_flowers17
model=experiments/results/mobilenet_v2_flowers17/model.safetensors
work=${1:-runs/policy_flowers17}
mkdir -p "$work"
[ -f "$work/test.safetensors" ] ||
  branchy infer-all $model --data "$DATA" --split test --out "$work/test.safetensors"

# Pacheco et al. 2021, Fig. 4 and 5: one p_tar with fallback, the first n of five branches active.
set --
active=1
for branch in 1 2 3 4 5; do
  [ $branch = 1 ] || active=$active+$branch
  set -- "$@" --sweep "p-tar:0.7..0.9/0.05,active=$active"
done
branchy policy "$work/test.safetensors" $model "$@" --report $out/p_tar.json --csv $out/p_tar.csv
