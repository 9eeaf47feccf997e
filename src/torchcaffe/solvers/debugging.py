"""debug_info: the mean magnitude of every blob and gradient, layer by layer.

Caffe: ``src/caffe/net.cpp`` (ForwardDebugInfo, BackwardDebugInfo).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import sqrt

from torch import Tensor

from torchcaffe.build import Step
from torchcaffe.net import CaffeNet, Run
from torchcaffe.solvers.events import DebugBackward, DebugForward, DebugNorms, Listener


class Watch:
    """Tells of each layer as a net runs it, and of the gradients once they are there.

    A parameter that layers share is told with its whole gradient each time; Caffe tells how much of
    it there is when the layer is done.
    """

    def __init__(self, net: CaffeNet, tell: Listener) -> None:
        self.net, self.tell = net, tell
        self._bottoms: list[tuple[Step, list[Tensor]]] = []

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Within it, the net tells of every forward pass."""
        run_step = self.net._run_step
        params = self.net.params
        self._bottoms.clear()

        def watched(step: Step, key: str | None, given: Mapping[str, Tensor], run: Run) -> None:
            bottoms = [run.blobs[name] for name in step.bottoms]
            for bottom in bottoms:
                if bottom.requires_grad:
                    bottom.retain_grad()
            self._bottoms.append((step, bottoms))
            run_step(step, key, given, run)
            for name in step.tops:
                self.tell(DebugForward(step.name, "top", name, _mean(run.blobs[name])))
            for index, value in enumerate(params.get(step.name, [])):
                name = step.specs[index].name or str(index)
                self.tell(DebugForward(step.name, "param", name, _mean(value)))

        # An attribute of the object hides the method, also from the net's own calls.
        self.net.__dict__["_run_step"] = watched
        try:
            yield
        finally:
            del self.net.__dict__["_run_step"]

    def backward(self) -> None:
        """Tell of the backward pass that has been done, from the last layer to the first."""
        params = self.net.params
        for step, bottoms in reversed(self._bottoms):
            if not step.needs.layer:
                continue
            for name, bottom, need in zip(step.bottoms, bottoms, step.needs.bottoms, strict=True):
                if need:
                    self.tell(DebugBackward(step.name, "bottom", name, _mean(bottom.grad)))
            for index, need in enumerate(step.needs.params):
                if need:
                    owner, owned = self.net.owner(step.name, index)
                    grad = params[owner][owned].grad
                    self.tell(DebugBackward(step.name, "param", str(index), _mean(grad)))
        self._norms()

    def _norms(self) -> None:
        values = [entry.value.detach() for entry in self.net.learnable]
        grads = [entry.value.grad for entry in self.net.learnable if entry.value.grad is not None]
        ones = [sum(float(value.abs().sum()) for value in part) for part in (values, grads)]
        twos = [sum(float(value.square().sum()) for value in part) for part in (values, grads)]
        self.tell(DebugNorms(ones[0], ones[1], sqrt(twos[0]), sqrt(twos[1])))


def _mean(value: Tensor | None) -> float:
    return 0.0 if value is None else float(value.detach().abs().sum() / value.numel())
