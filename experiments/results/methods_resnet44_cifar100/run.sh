#!/bin/sh
# The methods in short on ResNet44, CIFAR-100 (network: ../resnet44_cifar100_fast); runs/data: CIFAR-100.
set -e
D="--data cifar100:runs/data --threads 1"; R=runs/resnet44_cifar100_fast
branchy calibrate $R $D --out c1.safetensors
branchy predictor train c1.safetensors $D --kind feature --lambda 0.95 --labels train --views 1 --out c2.safetensors
branchy infer-all c2.safetensors $D --split val --out c_val.logits
branchy infer-all c2.safetensors $D --split test --out c_test.logits
branchy predictor eval c2.safetensors $D --out c3.safetensors
branchy policy c_val.logits c3.safetensors --policy max-probability:0.9 --policy stored --sweep "max-probability:0.3..0.95/0.05" --pareto --report c100_policy.json
branchy policy c_val.logits c3.safetensors --sweep max-probability:0.99..0.5/0.01 --choose risk --epsilon 0.02 --delta 0.05 --test c_test.logits --report c100_risk.json --out c4.safetensors
branchy adapt c_val.logits --model c3.safetensors --test c_test.logits --limit-ms 30 --device-speed 2.1e9 --feature-bytes 2048 --bandwidths 0.1,0.3,0.5,0.7,1,3,5,7,10,30,50,70,100 --csv c100_adapt.csv --out c5.safetensors
branchy plan c3.safetensors --edge-speed 2.1e9 --cloud-speed 1e11 --bandwidth 10 --round-trip-ms 12.8 --logits c_val.logits --csv c100_plan.csv
branchy prune $R --ratio 0.1 --out c_pruned.safetensors
branchy codec train c1.safetensors $D --code 32 --lr 2e-3 --server-lr-factor 0.25 --images 20000 --reconstruction-epochs 2 --epochs 1 --quantized-epochs 0.4 --out c100_k32.safetensors
branchy codec eval c100_k32.safetensors $D --json codec.json
