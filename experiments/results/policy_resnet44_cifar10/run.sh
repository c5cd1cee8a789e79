#!/bin/sh
# Every figure of this folder, from the model kept beside it. Run in the repository's root:
#   DATA=cifar10:DIR experiments/results/policy_resnet44_cifar10/run.sh [FOLDER FOR LOGITS]
set -eu
out=experiments/results/policy_resnet44_cifar10
model=experiments/results/resnet44_cifar10_fast/model.safetensors
work=${1:-runs/policy_resnet44}
mkdir -p "$work"
for part in val test; do
  [ -f "$work/$part.safetensors" ] ||
    branchy infer-all $model --data "$DATA" --split $part --out "$work/$part.safetensors"
done
val=$work/val.safetensors
test=$work/test.safetensors

# The gate is learned on one half of the validation images, so that the other can prove something.
branchy policy "$val" $model --fit-gate --subset 1/2 --out "$work/gated.safetensors"
gated=$work/gated.safetensors

# Sweeps, evaluated on validation and test images: one CSV row a policy and part.
high='0.2..0.99/0.01|0.995|0.998|0.999'
sweep() { branchy policy "$val" "$gated" --sweep "$2" --test "$test" --csv $out/sweep_$1.csv > /dev/null; }
sweep max_probability "max-probability:$high"
sweep entropy "entropy:0.001|0.002|0.005|0.01..0.8/0.01"
sweep margin "margin:$high"
sweep ensemble "ensemble:$high"
sweep patience "patience:1..3/1"
sweep p_tar "p-tar:$high"
sweep gate "gate:0.3..0.99/0.01|0.992|0.994|0.996|0.998"
sweep oracle "oracle:$high"
sweep fixed "fixed:1..3/1"

# One threshold for each exit, 80 x 80: what is on the front of the validation images.
branchy policy "$val" $model --sweep "max-probability:0.2..0.99/0.01+0.2..0.99/0.01" --pareto \
  --csv $out/front_max_probability.csv > /dev/null

# Choices on validation images, and what they do on the test images.
choose() {
  name=$1
  shift
  branchy policy "$val" "$gated" --test "$test" --pareto --report $out/$name.json "$@" > /dev/null
}
safe='0.999|0.998|0.995|0.99..0.2/0.01'
choose best_accuracy_max_probability --choose best-accuracy \
  --sweep "max-probability:0.2..0.99/0.01+0.2..0.99/0.01"
each='0.2..0.95/0.05|0.97|0.99'
few='0.01|0.02|0.05..0.8/0.05'
for budget in 25e6 35e6; do
  for rule in max-probability margin ensemble gate; do
    choose budget_${budget}_$rule --choose budget=$budget --sweep "$rule:$each+$each"
  done
  choose budget_${budget}_entropy --choose budget=$budget --sweep "entropy:$few+$few"
done
risk='--choose risk --epsilon 0.01 --delta 0.05'
choose risk_max_probability $risk --sweep "max-probability:$safe"
choose risk_margin $risk --sweep "margin:$safe"
choose risk_entropy $risk --sweep "entropy:0.001|0.002|0.005|0.01..0.8/0.01"
choose risk_max_probability_half $risk --sweep "max-probability:$safe" --subset 2/2
choose risk_gate_half $risk --sweep "gate:0.999|0.998|0.996|0.994|0.992|0.99..0.3/0.01" --subset 2/2
choose risk_max_probability_grid $risk --sweep "max-probability:0.99..0.5/0.01+0.99..0.5/0.01"
