"""Dropout while nothing is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import added
from torchcaffe.diagnosis.tape import Edit, Op
from torchcaffe.diagnosis.weighted import argument


@hypothesis("dropout-active")
def dropout_active(state: State) -> Iterator[Proposal]:
    """Dropout is active where Caffe's is not, in phase TEST."""
    yield from _by_hand(state)
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


def _by_hand(state: State) -> Iterator[Proposal]:
    """A mask made of random numbers: with all of them kept, what is left is a factor."""
    drawn = [op for op in state.segment.ops if op.random and "dropout" not in op.name]
    names = state.segment.alignment.reference.same.get(state.segment.pair.caffe, [])
    if not drawn or not names:
        return
    steps = {step.name: step for step in state.segment.alignment.reference.net.steps}
    ratio = float(steps[names[0]].param.dropout_param.dropout_ratio)
    for fill in (1.0, 0.0):
        for factor in dict.fromkeys((1 / (1 - ratio), 1.0)):
            yield Proposal(
                layers=tuple(names),
                code="Your code drops numbers at random here, by a mask of its own.",
                caffe="Caffe's Dropout hands everything on as it is in phase TEST.",
                fix="if self.training: x = x * mask / (1 - p)",
                parts=added(state, lambda x, by=factor: x * by),
                edits={op.index: _filled(fill) for op in drawn},
                op=drawn[0],
                evidence={"factor": factor},
                cost=0.2,
            )


def _filled(fill: float) -> Edit:
    """An edit: every random number is this one."""

    def edit(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        made = op.func(*args, **kwargs)
        return made.fill_(fill)

    return edit


def _kept(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The input as it is."""
    return args[0] if args else kwargs["input"]
