#!/bin/sh
# The methods on MobileNetV2, Flowers 17: how the files of this folder were made (logits of 272 test and 108 validation photographs).
# runs/data/flowers17-256: the photographs. Serving: branchy-cloud and branchy-edge --policy p-tar:0.8 on split/.
set -e
M=experiments/results/mobilenet_v2_flowers17/model.safetensors
D="--data folder:runs/data/flowers17-256 --cache runs/cache --threads 1"
branchy codec train $M $D --code 40 --epochs 3 --reconstruction-epochs 4 --quantized-epochs 2 --batch 32 --out m2.safetensors
branchy calibrate m2.safetensors $D --test --out m3.safetensors --report cal.json
branchy predictor train m3.safetensors --data folder:runs/data/flowers17-256 --image-cache runs/cache --threads 1 --kind feature --lambda 0.8 --labels held-out --views 8 --augment pacheco --out m4.safetensors
branchy predictor eval m4.safetensors --data folder:runs/data/flowers17-256 --threads 1 --out m5.safetensors
branchy codec eval m5.safetensors $D --threshold 0.8 --json codec.json
branchy infer-all m5.safetensors $D --split test --out test.logits
branchy infer-all m5.safetensors $D --split val --out val.logits
branchy policy val.logits m5.safetensors --policy p-tar:0.7 --policy p-tar:0.8 --policy p-tar:0.9 --policy stored --test test.logits --report policy.json
branchy export m5.safetensors --out split
