#!/bin/sh
# Edge and cloud beside one process, image by image, at batch 1 and with dynamic batches. In the repository's root;
# runs/data: CIFAR-10 and Flowers 17; models with temperatures, predictor and codec: ../methods_*/run.sh; VGG16-BN:
# 160 training steps and a codec of ratio 64 on it (../codec_vgg16_bn_cifar10).
set -eu
out=experiments/results/split_agreement
agree() {
  name=$1; shift
  branchy-experiments split-agreement "$@" --out $out/$name.json > $out/$name.txt || echo "$name FAILED"
}
cifar="--data cifar10:runs/data"
flowers="--data folder:runs/data/flowers17-256"
resnet=experiments/results/resnet44_cifar10_fast/model.safetensors
mobilenet=experiments/results/mobilenet_v2_flowers17/model.safetensors
agree resnet44_plain $resnet $cifar --policy max-probability:0.9 --policy p-tar:0.8
agree resnet44_all runs/r44/model.safetensors $cifar --policy predictor:0.95+0.85,gamma=0.2+0.3 --policy p-tar:0.8
agree resnet44_all_no_codec runs/r44/model.safetensors $cifar --no-codec --policy predictor:0.95+0.85,gamma=0.2+0.3
agree mobilenet_plain $mobilenet $flowers --policy p-tar:0.8,active=3 --policy max-probability:0.95
agree mobilenet_all runs/mobilenet_m5.safetensors $flowers --policy p-tar:0.99 --policy predictor:0.8+0.8+0.8+0.8+0.8,gamma=0+0+0+0+0
agree mobilenet_all_no_codec runs/mobilenet_m5.safetensors $flowers --no-codec --policy p-tar:0.99
agree vgg16_bn_plain runs/vgg.safetensors $cifar --limit 1000 --policy p-tar:0.8
agree vgg16_bn_codec runs/vgg_codec.safetensors $cifar --limit 1000 --policy p-tar:0.8
