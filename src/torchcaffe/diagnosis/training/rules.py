"""Caffe's update rules and their relatives, as arithmetic on vectors in float64.

With Caffe's settings these are ``torchcaffe.optim``'s rules without their float32 roundings; what
else ``Rule`` can say are the forms that hand ports have instead.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from torchcaffe.diagnosis.training.recipe import Rule

State = dict[str, Tensor]
Rate = Tensor | float


class Updater:
    """Updates a vector of weights whose elements may have rates and decays of their own."""

    def __init__(self, rule: Rule, like: Tensor) -> None:
        self.rule = rule
        self.state: State = {name: like.new_zeros(()) for name in ("first", "second", "velocity")}
        self.steps = 0

    def step(self, weight: Tensor, grad: Tensor, rate: Rate, decay: Rate) -> Tensor:
        """What is subtracted from ``weight``."""
        self.steps += 1
        rule = self.rule
        if rule.decay_form == "L2":
            grad = grad + decay * weight
        elif rule.decay_form == "L1":
            grad = grad + decay * weight.sign()
        change = RULES[rule.kind](self, grad, rate)
        if rule.decay_form == "decoupled":
            change = change + rate * decay * weight
        return change

    def _sgd(self, grad: Tensor, rate: Rate) -> Tensor:
        old, new = self._momentum(grad, rate)
        del old
        return new if self.rule.rate_inside else rate * new

    def _nesterov(self, grad: Tensor, rate: Rate) -> Tensor:
        old, new = self._momentum(grad, rate)
        mu = self.rule.momentum
        if self.rule.rate_inside:
            return (1 + mu) * new - mu * old
        return rate * (grad + mu * new)

    def _momentum(self, grad: Tensor, rate: Rate) -> tuple[Tensor, Tensor]:
        old = self.state["velocity"]
        new = self.rule.momentum * old + (rate * grad if self.rule.rate_inside else grad)
        self.state["velocity"] = new
        return old, new

    def _adagrad(self, grad: Tensor, rate: Rate) -> Tensor:
        self.state["second"] = self.state["second"] + grad * grad
        return rate * grad / self._root(self.state["second"])

    def _rmsprop(self, grad: Tensor, rate: Rate) -> Tensor:
        decay = self.rule.rms_decay
        self.state["second"] = decay * self.state["second"] + (1 - decay) * grad * grad
        return rate * grad / self._root(self.state["second"])

    def _root(self, square: Tensor) -> Tensor:
        delta = self.rule.delta
        return (square + delta).sqrt() if self.rule.epsilon == "inside" else square.sqrt() + delta

    def _adadelta(self, grad: Tensor, rate: Rate) -> Tensor:
        mu, delta = self.rule.momentum, self.rule.delta
        gradients = mu * self.state["first"] + (1 - mu) * grad * grad
        value = grad * ((self.state["second"] + delta) / (gradients + delta)).sqrt()
        self.state["first"] = gradients
        self.state["second"] = mu * self.state["second"] + (1 - mu) * value * value
        return rate * value

    def _adam(self, grad: Tensor, rate: Rate) -> Tensor:
        beta1, beta2, t = self.rule.momentum, self.rule.momentum2, self.steps
        first = beta1 * self.state["first"] + (1 - beta1) * grad
        second = beta2 * self.state["second"] + (1 - beta2) * grad * grad
        self.state |= {"first": first, "second": second}
        correction = (1 - beta2**t) ** 0.5
        if self.rule.epsilon == "corrected":
            root = second.sqrt() + self.rule.delta * correction
        else:
            root = self._root(second)
        step: Tensor = rate * correction / (1 - beta1**t) * first / root
        return step


RULES: dict[str, Callable[[Updater, Tensor, Rate], Tensor]] = {
    "SGD": Updater._sgd,
    "Nesterov": Updater._nesterov,
    "AdaGrad": Updater._adagrad,
    "RMSProp": Updater._rmsprop,
    "AdaDelta": Updater._adadelta,
    "Adam": Updater._adam,
}
