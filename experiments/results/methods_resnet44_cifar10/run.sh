#!/bin/sh
# The methods one after another on ResNet44, CIFAR-10, from the model kept beside. In the repository's root:
#   DATA=cifar10:DIR experiments/results/methods_resnet44_cifar10/run.sh FOLDER
# FOLDER/coded.safetensors is made first, and FOLDER/smaller.safetensors for the pruned encoder:
#   branchy codec train MODEL --data DATA --code 32 --lr 2e-3 --server-lr-factor 0.25 --reconstruction-epochs 4 \
#     --epochs 1.5 --quantized-epochs 0.4 --out FOLDER/coded.safetensors
#   branchy codec train MODEL --data DATA --code 16 --images 20000 --reconstruction-epochs 2 --epochs 1 \
#     --quantized-epochs 0.4 --out FOLDER/smaller.safetensors
set -eu
out=experiments/results/methods_resnet44_cifar10
source=experiments/results/resnet44_cifar10_fast/model.safetensors
work=$1
data="--data $DATA --threads 1"
branchy calibrate "$work/coded.safetensors" $data --out "$work/calibrated.safetensors" --report $out/calibrate.json
branchy predictor train "$work/calibrated.safetensors" $data --kind feature --lambda 0.95,0.85 --views 1 \
  --out "$work/predicted.safetensors"
for part in val test; do
  branchy infer-all "$work/predicted.safetensors" $data --split $part --out "$work/$part.logits"
  branchy infer-all "$work/smaller.safetensors" $data --split $part --out "$work/smaller_$part.logits"
done
branchy predictor eval "$work/predicted.safetensors" $data --out "$work/model.safetensors" > $out/predictor.txt
branchy policy "$work/val.logits" "$work/model.safetensors" --policy max-probability:0.95,0.85 --policy stored \
  --policy p-tar:0.8 --policy entropy:0.3 --test "$work/test.logits" --report $out/policy.json > $out/policy.txt
branchy policy "$work/val.logits" "$work/model.safetensors" --sweep max-probability:0.99..0.5/0.01 --choose risk \
  --epsilon 0.01 --delta 0.05 --test "$work/test.logits" --report $out/risk.json --out "$work/promised.safetensors"
branchy adapt "$work/val.logits" --model "$work/model.safetensors" --test "$work/test.logits" --limit-ms 30 \
  --device-speed 2.1e9 --bandwidths 0.1,0.3,0.5,0.7,1,3,5,7,10,30,50,70,100 --csv $out/adapt.csv \
  --out "$work/adapted.safetensors" > $out/adapt.txt
branchy-experiments adapt-figure "$work/val.logits" --test "$work/test.logits" --model "$work/model.safetensors" \
  --device-speed 2.1e9 --method regression,interpolate,search --margin 1 \
  --pruned "$work/smaller.safetensors,$work/smaller_val.logits,$work/smaller_test.logits" --out $out/figure
branchy plan "$work/model.safetensors" --edge-speed 2.1e9 --cloud-speed 1e11 --bandwidth 0.5 --round-trip-ms 5 \
  --logits "$work/val.logits" --p-tar 0.5,0.6,0.7,0.8,0.9,0.95 --csv $out/plan.csv > $out/plan.txt
branchy prune $source --ratio 0.1 --out "$work/pruned.safetensors" > $out/prune.txt
branchy export "$work/adapted.safetensors" --out "$work/split" > $out/export.txt
