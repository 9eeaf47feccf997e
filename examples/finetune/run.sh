#!/bin/sh
# Fine-tune a real ResNet on sixty drawn images: run.sh [FOLDER], where its two files are.
set -e
# One thread computes, so that a busy machine does not stall it; data are read beside it.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
model=${1:-$(python "$(dirname "$0")/../../scripts/fetch_resnet.py")}
model=$(cd "$model" && pwd)
cd "$(dirname "$0")"
rm -rf build
python prepare.py "$model" build
exec torchcaffe train --solver solver.prototxt \
    --weights "$model/resnet_50_1by2_nsfw.caffemodel"
