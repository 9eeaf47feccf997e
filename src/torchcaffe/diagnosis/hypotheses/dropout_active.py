"""Dropout while nothing is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.tape import Op
from torchcaffe.diagnosis.weighted import argument


@hypothesis("dropout-active")
def dropout_active(state: State) -> Iterator[Proposal]:
    """Dropout is active where Caffe's is not, in phase TEST."""
    for op in state.segment.calls("dropout", "dropout2d", "alpha_dropout"):
        if not argument(op, "training"):
            continue
        names = state.segment.alignment.reference.same
        layers = [name for value in state.segment.outside | {state.segment.pair.caffe}
                  for name in names.get(value, [])]  # fmt: skip
        made = {top for part in state.parts for top in part.tops}
        layers += [name for value in sorted(made) for name in names.get(value, [])]
        yield Proposal(
            layers=tuple(dict.fromkeys(layers)) or state.segment.layers[-1:],
            code=f"Your dropout is active: it sets {argument(op, 'p'):g} of the numbers to 0.",
            caffe="Caffe's Dropout hands everything on as it is in phase TEST.",
            fix="port.eval(), or functional.dropout(x, p, training=self.training)",
            edits={op.index: _kept},
            op=op,
            evidence={"p": argument(op, "p")},
            cost=0.0,
        )


def _kept(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The input as it is."""
    return args[0] if args else kwargs["input"]
