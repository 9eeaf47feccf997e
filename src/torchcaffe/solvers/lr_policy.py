"""Caffe's learning rates: functions of the iteration, in the precision that Caffe has.

``iteration`` counts the updates done before. Everything is rounded to float32 at the end; fixed,
step, exp and multistep are computed in double before that, the others in float32 throughout.

Caffe: ``src/caffe/solvers/sgd_solver.cpp`` (GetLearningRate).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torchcaffe.errors import SolverError
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.proto.suggest import did_you_mean
from torchcaffe.solvers._single import expf, powf, single


def fixed(iteration: int, base_lr: float) -> float:
    """base_lr."""
    del iteration
    return single(base_lr)


def step(iteration: int, base_lr: float, gamma: float, stepsize: int) -> float:
    """base_lr * gamma ** (iteration // stepsize)."""
    return single(single(base_lr) * _power(gamma, iteration // stepsize))


def exp(iteration: int, base_lr: float, gamma: float) -> float:
    """base_lr * gamma ** iteration."""
    return single(single(base_lr) * _power(gamma, iteration))


def inv(iteration: int, base_lr: float, gamma: float, power: float) -> float:
    """base_lr * (1 + gamma * iteration) ** -power."""
    grown = single(1 + single(single(gamma) * iteration))
    return single(single(base_lr) * powf(grown, -single(power)))


def multistep(
    iteration: int, base_lr: float, gamma: float, stepvalue: Sequence[int], current_step: int
) -> tuple[float, int]:
    """base_lr * gamma ** steps, and steps: ``current_step``, or one more if its value is reached.

    Only one a call, as in Caffe: values that are equal, or were passed while nobody asked, are
    caught up one iteration after the other. The caller keeps the number for the next call.
    """
    if current_step < len(stepvalue) and iteration >= stepvalue[current_step]:
        current_step += 1
    return single(single(base_lr) * _power(gamma, current_step)), current_step


def poly(iteration: int, base_lr: float, power: float, max_iter: int) -> float:
    """base_lr * (1 - iteration / max_iter) ** power."""
    left = single(1 - single(iteration / max_iter))
    return single(single(base_lr) * powf(left, single(power)))


def sigmoid(iteration: int, base_lr: float, gamma: float, stepsize: int) -> float:
    """base_lr / (1 + exp(-gamma * (iteration - stepsize)))."""
    grown = expf(single(-single(gamma) * (iteration - stepsize)))
    return single(single(base_lr) * single(1 / single(1 + grown)))


def _power(gamma: float, exponent: int) -> float:
    try:
        return math.pow(single(gamma), exponent)
    except OverflowError:
        return math.inf


POLICIES: dict[str, Callable[..., float]] = {
    "fixed": fixed,
    "step": step,
    "exp": exp,
    "inv": inv,
    "poly": poly,
    "sigmoid": sigmoid,
}
"""The policies without a state."""

FIELDS: dict[str, tuple[str, ...]] = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power", "max_iter"),
    "sigmoid": ("gamma", "stepsize"),
}
"""All policies, and what each takes beside base_lr."""


def check_policy(param: SolverParameter) -> None:
    """Refuse a policy that Caffe does not know, or that lacks a field it needs.

    Caffe finds out at the first update, and takes 0 for a field that is not given. Raises
    SolverError.
    """
    name = param.lr_policy
    if name not in FIELDS:
        hint = did_you_mean(name, FIELDS) or "."
        got = f'"{name}" is not one' if name else "it is not given"
        raise SolverError(
            f"{_place(param, 'lr_policy')}lr_policy takes {', '.join(FIELDS)}; {got}{hint}"
        )
    missing = [field for field in ("base_lr", *FIELDS[name]) if not param.has(field)]
    if missing:
        raise SolverError(
            f'{_place(param, "lr_policy")}lr_policy "{name}" needs {", ".join(missing)}, which the '
            f"solver does not give"
        )
    if "gamma" in FIELDS[name] and param.gamma < 0:
        raise SolverError(f"{_place(param, 'gamma')}gamma must not be negative: {param.gamma:g}")
    if "stepsize" in FIELDS[name] and param.stepsize <= 0:
        raise SolverError(f"{_place(param, 'stepsize')}stepsize must be positive: {param.stepsize}")
    if "max_iter" in FIELDS[name] and param.max_iter <= 0:
        raise SolverError(f"{_place(param, 'max_iter')}max_iter must be positive: {param.max_iter}")


def learning_rate(param: SolverParameter, iteration: int, current_step: int) -> tuple[float, int]:
    """The rate of a solver's iteration, and its ``current_step``, which snapshots keep.

    ``param`` is one that ``check_policy`` let pass.
    """
    if param.lr_policy == "multistep":
        return multistep(iteration, param.base_lr, param.gamma, param.stepvalue, current_step)
    if param.lr_policy == "step":
        current_step = iteration // param.stepsize
    fields = [getattr(param, field) for field in FIELDS[param.lr_policy]]
    return POLICIES[param.lr_policy](iteration, param.base_lr, *fields), current_step


def _place(param: SolverParameter, field: str) -> str:
    where = param.where(field)
    return f"{where}: " if where else ""
