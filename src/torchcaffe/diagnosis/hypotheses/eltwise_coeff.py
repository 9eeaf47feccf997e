"""The coefficients of a sum."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.reference import Part


@hypothesis("eltwise-coeff")
def eltwise_coeff(state: State) -> Iterator[Proposal]:
    """A sum of blobs has other coefficients than Caffe's, or leaves a blob out."""
    for part in state.of("Eltwise"):
        p = part.param.eltwise_param
        if p.operation != "SUM":
            continue
        count = len(part.bottoms)
        right = list(p.coeff) or [1.0] * count
        for coeff in _guesses(state, part, right):
            if coeff == right:
                continue
            yield Proposal(
                layers=(part.name,),
                code=f"Your code adds the blobs with the coefficients {_listed(coeff)}.",
                caffe=f"Caffe's are {_listed(right)} (eltwise_param, coeff).",
                fix="y = " + " + ".join(f"{c:g} * x{n}" for n, c in enumerate(right)),
                parts=state.swapped(part, part.changed(eltwise_param__coeff=coeff)),
                op=state.call("add", "sub", "mul", "sum"),
                evidence={"port": coeff, "caffe": right},
                cost=0.4 if coeff == [1.0] * count else 0.8,
            )


def _listed(coeff: list[float]) -> str:
    return ", ".join(f"{c:g}" for c in coeff)


def _guesses(state: State, part: Part, right: list[float]) -> Iterator[list[float]]:
    count = len(right)
    yield [1.0] * count
    yield [abs(c) for c in right]
    yield [-c for c in right]
    yield right[::-1]
    yield [1.0 / count] * count
    for place in range(count):
        for number in (0.0, *_said(state), 0.5):
            yield [number if n == place else c for n, c in enumerate(right)]
    fitted = _fitted(state, part)
    for digits in (5, 3, 1) if fitted is not None else ():
        yield [float(f"{value:.{digits}g}") for value in fitted or ()]


def _said(state: State) -> list[float]:
    """The numbers that the port multiplies by or divides through."""
    calls = state.segment.calls("mul", "div", "add", "sub")
    said = [(op.name, each) for op in calls for each in (*op.args[1:], op.kwargs.get("alpha"))]
    numbers = [(name, float(each)) for name, each in said if isinstance(each, (int, float))]
    return [1 / each if name == "div" and each else each for name, each in numbers]


def _fitted(state: State, part: Part) -> list[float] | None:
    """The coefficients that fit the port's output best, where no other layer but a ReLU follows."""
    change = state.segment.layout.change
    target = state.port.double().reshape(-1)
    columns = [change(x).double().reshape(-1) for x in state.bottoms(part)]
    if any(column.shape != target.shape for column in columns):
        return None
    after = [other for other in state.parts if part.tops[0] in other.bottoms]
    if after and after[0].kind == "ReLU":
        columns = [column[target > 0] for column in columns]
        target = target[target > 0]
    elif after:
        return None
    system = torch.stack(columns, 1)
    found = torch.linalg.lstsq(system, target[:, None]).solution.reshape(-1)
    return [float(value) for value in found.tolist()]
