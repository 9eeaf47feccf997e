#!/bin/sh
# Train LeNet on the committed digits, or on MNIST: run.sh FOLDER, where its four idx files are.
set -e
# One thread computes, so that a busy machine does not stall it; data are read beside it.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
data=${1:+$(cd "$1" && pwd)}
cd "$(dirname "$0")"
rm -rf build
mkdir build
if [ -n "$data" ]; then
    solver=solver.prototxt
    python from_idx.py "$data" build
else
    solver=digits_solver.prototxt
    python ../digits/unpack.py build/images
    for part in train test; do
        torchcaffe convert_imageset build/images/ build/images/$part.txt build/${part}_lmdb \
            --gray --resize_height 28 --resize_width 28
    done
fi
exec torchcaffe train --solver "$solver"
