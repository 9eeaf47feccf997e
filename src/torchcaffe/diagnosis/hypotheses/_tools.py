"""What several hypotheses do to a segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State
from torchcaffe.diagnosis.reference import Function, Part, Parts
from torchcaffe.diagnosis.tape import Op, Ref
from torchcaffe.proto.schema import LayerParameter


def added(state: State, function: Function, name: str = "(yours)") -> Parts:
    """The layers with one more computation at the end."""
    output = state.segment.pair.caffe
    made = max(max(state.values), *(top for part in state.parts for top in part.tops), 0) + 1
    parts = [
        replace(
            part,
            tops=tuple(made if top == output else top for top in part.tops),
            bottoms=tuple(
                made if value == output and _makes(state.parts, part, output) else value
                for value in part.bottoms
            ),
        )
        for part in state.parts
    ]
    source = made if any(made in part.tops for part in parts) else output
    last = Part(name, "(yours)", LayerParameter(), (), (source,), (output,), function)
    return (*parts, last)


def _makes(parts: Parts, reader: Part, value: int) -> bool:
    """Whether a part before the reader makes the value."""
    return any(value in part.tops for part in parts[: parts.index(reader)])


def begun(state: State, value: int, function: Function, name: str = "(yours)") -> Parts:
    """The layers with one more computation on a value that they start from."""
    made = max(max(state.values), *(top for part in state.parts for top in part.tops), 0) + 1
    first = Part(name, "(yours)", LayerParameter(), (), (value,), (made,), function)
    if not state.parts:
        return (replace(first, tops=(value,)),)
    parts = (
        replace(
            part, bottoms=tuple(made if old == value else old for old in part.bottoms), built=None
        )
        for part in state.parts
    )
    return (first, *parts)


FITTING = ("pad", "getitem", "narrow", "interpolate", "constant_pad_nd")
"""Calls with which people make shapes fit again after a mistake."""


FEW = 3
"""More such calls than this are no mending."""


def rounded(value: float, *digits: int) -> list[float]:
    """A fitted number as a person may have written it, the shortest last."""
    return list(dict.fromkeys(float(f"{value:.{count}g}") for count in digits))


def fitted(state: State, proposal: Proposal) -> Iterator[Proposal]:
    """A change that makes another shape, with the port's own calls behind it that make it fit."""
    if proposal.parts is None or len(proposal.parts) != len(state.parts):
        return
    pairs = [
        (old, new) for old, new in zip(state.parts, proposal.parts, strict=True) if old is not new
    ]
    calls = [op for op in state.segment.ops if op.name in FITTING and single(op)]
    if len(calls) > FEW:
        calls = [op for op in calls if op.name not in ("getitem", "narrow")]
    if len(pairs) != 1 or not 0 < len(calls) <= FEW:
        return
    old, new = pairs[0]
    bottoms = state.bottoms(old)
    if new.run(bottoms)[0].shape == state.top(old).shape:
        return
    for chosen in [[op] for op in calls] + ([calls] if len(calls) > 1 else []):

        def run(*given: Tensor, part: Part = new, ops: Sequence[Op] = tuple(chosen)) -> Tensor:
            made = part.run(given, given[0].dtype)[0]
            for op in ops:
                made = called(op, made)
            return made

        whole = new.with_function(run)
        parts = tuple(whole if part is new else part for part in proposal.parts)
        yield replace(proposal, parts=parts)


def single(op: Op) -> bool:
    """Whether a call has one tensor, and it comes first."""
    return len(op.inputs) == 1 and bool(op.args) and isinstance(op.args[0], Ref)


def called(op: Op, tensor: Tensor) -> Tensor:
    """What a call makes of another tensor."""
    made: Tensor = op.func(tensor, *op.args[1:], **op.kwargs)
    return made


def left_out(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An edit of the port: a call that hands on its input as it is."""
    return args[0] if args else kwargs["input"]
