#!/bin/sh
# Train CIFAR-10 quick on the committed digits in colours, or on CIFAR-10: run.sh FOLDER, where its
# binary batches are.
set -e
# One thread computes, so that a busy machine does not stall it; data are read beside it.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
data=${1:+$(cd "$1" && pwd)}
cd "$(dirname "$0")"
rm -rf build
mkdir build
if [ -n "$data" ]; then
    solver=solver.prototxt
    python from_binary.py "$data" build
else
    solver=digits_solver.prototxt
    python ../digits/unpack.py build/images --colour
    for part in train test; do
        torchcaffe convert_imageset build/images/ build/images/$part.txt build/${part}_lmdb
    done
fi
torchcaffe compute_image_mean build/train_lmdb build/mean.binaryproto
exec torchcaffe train --solver "$solver"
