"""Half precision, bfloat16, tf32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch.utils._pytree import tree_map

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import begun
from torchcaffe.diagnosis.reference import Part, Parts
from torchcaffe.diagnosis.tape import Op

HALF = (torch.float16, torch.bfloat16)


@hypothesis("precision")
def precision(state: State) -> Iterator[Proposal]:
    """Numbers are kept in half precision or bfloat16 where Caffe has float32."""
    tape = state.segment.alignment.tape
    low: dict[torch.dtype, list[Op]] = {}
    for op in state.segment.ops:
        for value in [*op.outputs, *op.inputs]:
            kind = tape.values[value].tensor.dtype
            if kind in HALF:
                low.setdefault(kind, []).append(op)
    for kind, ops in low.items():
        edits = {op.index: _in_full for op in state.segment.ops}
        blobs = tuple(_rounded(part, kind) for part in state.parts)
        name = str(kind).removeprefix("torch.")
        for parts in (None, blobs, _on_rounded(state, blobs, kind)):
            yield Proposal(
                layers=state.segment.layers,
                code=f"Your code computes in {name}, with {11 if kind == HALF[0] else 8} bits.",
                caffe="Caffe computes in float32, with 24 bits.",
                fix="port.float(), and no autocast around it",
                parts=parts,
                edits=edits,
                op=ops[0],
                evidence={"type": name},
                cost=0.0 if parts is None else 0.1,
            )
    if not low:
        yield from _weights_alone(state)


def _on_rounded(state: State, parts: Parts, kind: torch.dtype) -> Parts:
    """The layers on inputs that were rounded before, as the port's own calls get them."""
    values = state.segment.alignment.tape.values
    for pair in state.segment.cuts:
        if values[pair.port].tensor.dtype == kind and pair.caffe in state.segment.outside:
            parts = begun(replace(state, parts=parts), pair.caffe, lambda x: x.to(kind).to(x.dtype))
    return parts


def _weights_alone(state: State) -> Iterator[Proposal]:
    """Weights that were stored in half precision."""
    for kind in HALF:
        parts = tuple(_rounded(part, kind) for part in state.parts)
        name = str(kind).removeprefix("torch.")
        yield Proposal(
            layers=tuple(part.name for part in state.parts if part.blobs),
            code=f"Your weights were rounded to {name}.",
            caffe="Caffe's are float32.",
            fix="keep the weights in float32 when they are copied",
            parts=parts,
            evidence={"type": name},
            cost=1.5,
        )


def _rounded(part: Part, kind: torch.dtype) -> Part:
    if not part.blobs or part.function is not None:
        return part
    blobs = part.blobs
    if part.kind == "BatchNorm" and bool(blobs[2]):  # a port stores what was divided
        blobs = (blobs[0] / blobs[2], blobs[1] / blobs[2], torch.ones(1))
    return part.with_blobs(*(blob.to(kind) for blob in blobs))


def _in_full(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The call in float32; one that only changes the type changes nothing."""
    args, kwargs = tree_map(_widened, (args, kwargs))
    if op.name in ("half", "bfloat16", "float", "type", "to", "double"):
        devices = [leaf for leaf in args[1:] if isinstance(leaf, torch.device)]
        return args[0].to(*devices) if devices else args[0]
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        return op.func(*args, **kwargs)


def _widened(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor) and leaf.dtype in HALF:
        return leaf.float()
    return torch.float32 if leaf in HALF else leaf
