"""Pooling's output size: Caffe rounds up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.reference import Part


@hypothesis("pool-rounding")
def pool_rounding(state: State) -> Iterator[Proposal]:
    """The number of windows is rounded down where Caffe rounds up (or the other way round)."""
    for part in state.of("Pooling"):
        ceil = part.param.pooling_param.round_mode == "CEIL"
        calls = state.arguments(("max_pool2d", "avg_pool2d"), "ceil_mode")
        op = next((op for op, mode in calls if bool(mode) != ceil), None)
        way, other = ("up", "down") if ceil else ("down", "up")
        yield Proposal(
            layers=(part.name,),
            code=f"Your pooling rounds the number of windows {other}.",
            caffe=f"Caffe rounds it {way}: the last window may hang over the border.",
            fix=f"ceil_mode={ceil}",
            parts=state.swapped(
                part, part.changed(pooling_param__round_mode="FLOOR" if ceil else "CEIL")
            ),
            op=op,
            cost=0.0 if op is not None else 1.0,
        )
        yield from _padded(state, part)


def _padded(state: State, part: Part) -> Iterator[Proposal]:
    """Padding in place of rounding up: as many windows, but they start outside the image."""
    p = part.param.pooling_param
    if p.global_pooling or not p.kernel_size:
        return
    calls = state.arguments(("max_pool2d", "avg_pool2d"), "padding")
    said = {_one(pad): op for op, pad in calls if _one(pad) != p.pad}
    for pad in dict.fromkeys([*said, p.kernel_size // 2, 0]):
        if pad == p.pad or pad >= p.kernel_size:
            continue
        for mode in ("FLOOR", "CEIL"):
            yield Proposal(
                layers=(part.name,),
                code=f"Your pooling pads by {pad} and rounds {mode.lower()}.",
                caffe=(
                    f"Caffe pads by {p.pad} and rounds {p.round_mode.lower()}: its windows lie "
                    f"elsewhere, though they may be as many."
                ),
                fix=f"padding={p.pad}, ceil_mode={p.round_mode == 'CEIL'}",
                parts=state.swapped(
                    part,
                    part.changed(pooling_param__pad=pad, pooling_param__round_mode=mode),
                ),
                op=said.get(pad),
                evidence={"port": f"{pad} {mode}"},
                cost=0.1 if pad in said else 1.0,
            )


def _one(pad: Any) -> int:
    return int(pad) if isinstance(pad, int) else int(pad[0])
