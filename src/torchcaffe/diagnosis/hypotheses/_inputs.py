"""What a port does to its input before the first layer."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from torchcaffe.diagnosis.hypotheses._registry import State
from torchcaffe.diagnosis.hypotheses._tools import added, begun
from torchcaffe.diagnosis.reference import Function, Parts
from torchcaffe.diagnosis.tape import Op


def inputs(state: State) -> Iterator[int]:
    """The net's inputs that a segment starts from."""
    for value in state.segment.alignment.reference.inputs.values():
        if value in state.segment.outside:
            yield value


def on_input(state: State, value: int, function: Function) -> Parts:
    """The layers with a computation on the net's input before them."""
    if value == state.segment.pair.caffe:
        return added(state, function)
    return begun(state, value, function)


PLAIN = (
    "getitem", "narrow", "pad", "roll", "interpolate", "sub", "add", "mul", "div", "rsub", "flip",
    "index_select", "contiguous", "to", "float", "normalize", "permute", "clone", "unsqueeze",
)  # fmt: skip


def first_calls(state: State) -> list[Op]:
    """The port's calls on the net's input before the first that has weights."""
    tape = state.segment.alignment.tape
    known = {tape.inputs[place] for place in range(len(tape.inputs))}
    found = []
    for op in state.segment.ops:
        if op.name in PLAIN and any(value in known for value in op.inputs):
            known |= set(op.outputs)
            found.append(op)
    return found


def reordered(state: State, op: Op) -> bool:
    """Whether a call only puts channels into another order."""
    values = state.segment.alignment.tape.values
    before, after = (values[place].tensor for place in (op.inputs[0], op.outputs[0]))
    return before.shape == after.shape


def affine(state: State, value: int) -> tuple[Tensor, Tensor] | None:
    """Factor and offset of each channel, where the port's output is the input so changed."""
    if value != state.segment.pair.caffe:
        return None
    change = state.segment.layout.change
    x, y = change(state.values[value]).double(), state.port.double()
    if x.shape != y.shape or x.dim() != 4:
        return None
    flat_x, flat_y = (t.transpose(0, 1).flatten(1) for t in (x, y))
    mean_x, mean_y = flat_x.mean(1), flat_y.mean(1)
    gap_x, gap_y = flat_x - mean_x[:, None], flat_y - mean_y[:, None]
    factor = (gap_x * gap_y).sum(1) / gap_x.square().sum(1).clamp(min=1e-30)
    offset = mean_y - factor * mean_x
    return factor.float(), offset.float()


def along_channels(values: Tensor, like: Tensor) -> Tensor:
    """One number for each channel, to be broadcast."""
    return values.to(like).reshape(1, -1, *[1] * (like.dim() - 2))


def listed(values: Tensor) -> str:
    """Numbers to be shown."""
    return ", ".join(f"{value:.6g}" for value in values.tolist())


def same(values: Tensor, number: float, tolerance: float = 1e-4) -> bool:
    """Whether all are one number."""
    return bool(((values - number).abs() <= tolerance * max(abs(number), 1.0)).all())
