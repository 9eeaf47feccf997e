"""The order in which an image becomes a row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from math import prod

from torch import Tensor

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import added
from torchcaffe.diagnosis.hypotheses._weights import columns, proposal, related


@hypothesis("flatten-order")
def flatten_order(state: State) -> Iterator[Proposal]:
    """Channels, rows and columns are flattened in another order than Caffe's."""
    for part, anchor in related(state, "reshaped", "permuted", "transposed"):
        axes = columns(anchor)
        if axes is not None:
            yield from proposal(
                state, part, anchor,
                f"Your weight reads an image's axes in the order {axes[1:]}.",
                "Caffe's reads channels, then rows, then columns.",
                "weight.data.copy_(blobs[0]), after x.flatten(1) of (N, C, H, W)",
            )  # fmt: skip
    segment = state.segment
    value = segment.pair.caffe
    blob = state.values.get(value)
    if blob is None or blob.dim() < 3 or prod(blob.shape[1:]) == max(blob.shape[1:]):
        return
    for order in permutations(range(1, blob.dim())):
        if list(order) == sorted(order):
            continue
        shape = blob.shape

        def moved(x: Tensor, o: tuple[int, ...] = order, s: tuple[int, ...] = shape) -> Tensor:
            return x.permute(0, *o).reshape(s)

        # Behind it the weights may be laid out for the other order.
        back = tuple(order.index(axis) + 1 for axis in range(1, blob.dim()))

        def unmoved(x: Tensor, o: tuple[int, ...] = order, b: tuple[int, ...] = back) -> Tensor:
            return x.reshape(x.shape[0], *(x.shape[axis] for axis in o)).permute(0, *b)

        letters = "NCHW" if blob.dim() == 4 else "".join(f"{n}" for n in range(blob.dim()))
        mine = ", ".join(letters[axis] for axis in order)
        right = ", ".join(letters[axis] for axis in range(1, blob.dim()))
        words = (
            (moved, f"Your code flattens the axes in the order {mine}."),
            (unmoved, f"Your weight reads the axes in the order {mine}, your code does not."),
        )
        for change, code in words:
            yield Proposal(
                layers=segment.layers[-1:],
                code=code,
                caffe=f"Caffe's fully connected layer reads them in the order {right}.",
                fix="x = x.flatten(1)  # of (N, C, H, W), contiguous; weights as Caffe's are",
                parts=added(state, change),
                op=state.call("flatten", "view", "reshape", "permute", "transpose"),
                evidence={"port": list(order)},
                cost=0.6,
            )
