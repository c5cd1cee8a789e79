#!/bin/sh
# Codecs of ResNet44, CIFAR-10, ratios 16 to 64; runs/data: CIFAR-10. In the repository's root.
set -e
out=experiments/results/codec_resnet44_cifar10
model=experiments/results/resnet44_cifar10_fast/model.safetensors
data="--data cifar10:runs/data --threads 1"
rate="--lr 2e-3 --server-lr-factor 0.25 --lossless range"
four="--continue --bits 4 --images 20000 $rate --reconstruction-epochs 0 --epochs 0"
branchy codec train $model $data --code 32 $rate --reconstruction-epochs 4 --epochs 1.5 --quantized-epochs 0.4 --out c32.b8.safetensors
branchy codec train c32.b8.safetensors $data $four --quantized-epochs 1 --out c32.b4.safetensors
for code in 16 8; do
  branchy codec train $model $data --code $code $rate --reconstruction-epochs 4 --epochs 1.5 --quantized-epochs 0.4 --out c$code.b8.safetensors
done
branchy codec train c16.b8.safetensors $data --continue --bits 4 $rate --reconstruction-epochs 0 --epochs 0 --quantized-epochs 2 --out c16.b4.safetensors
branchy codec eval c32.b8.safetensors --base $model $data --threshold 0.9 --threshold 0.95 --json $out/code32_8bit.json
branchy codec eval c32.b4.safetensors $data --no-baselines --threshold 0.9 --threshold 0.95 --json $out/code32_4bit.json
branchy codec eval c16.b8.safetensors $data --no-baselines --threshold 0.9 --threshold 0.95 --json $out/code16_8bit.json
branchy codec eval c16.b4.safetensors $data --no-baselines --threshold 0.9 --threshold 0.95 --json $out/code16_4bit.json
branchy codec eval c8.b8.safetensors $data --no-baselines --threshold 0.9 --threshold 0.95 --json $out/code8_8bit.json
branchy-experiments codec-curve $out/code32_8bit.json $out/code32_4bit.json $out/code16_8bit.json $out/code16_4bit.json $out/code8_8bit.json --title "ResNet44, CIFAR-10" --out $out
