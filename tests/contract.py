"""What every layer owes: the tests that each layer's test class inherits.

A test file names the type, gives cases, refusals and an independent reference written as plain
loops from what Caffe does (never from our code); everything else follows.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from assertions import assert_parity, to_numpy
from torchcaffe import proto
from torchcaffe.codegen import print_net
from torchcaffe.codegen.trial import construct, differences, module_outputs, run_net
from torchcaffe.errors import CaffeError
from torchcaffe.layers._exactness import Exactness
from torchcaffe.net import CaffeNet, Run
from torchcaffe.parity.classes import declared_classes
from torchcaffe.parity.probe import sensitivities
from torchcaffe.proto.schema import LayerParameter, NetParameter

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Case:
    """One layer in one situation.

    ``bottoms`` are shapes, filled with a fixed stream of normal numbers, or arrays as they are.
    ``body`` is what stands in the layer's braces beside name, type, bottoms and tops.
    ``gradcheck`` compares gradients with finite differences in float64; off where Caffe's backward
    is not the derivative (give ``reference_backward``) or the point lies on a kink.
    ``in_place`` names the tops as the bottoms.
    """

    body: str = ""
    bottoms: Sequence[tuple[int, ...] | Array] = ((2, 3, 4, 5),)
    tops: int = 1
    phase: str = "TEST"
    gradcheck: bool = True
    in_place: bool = False

    def net(self, caffe_type: str) -> NetParameter:
        """A net of Inputs b0, b1, ... and the layer "layer" with tops t0, t1, ..."""
        lines = ['name: "case"', "force_backward: true"]
        for index, bottom in enumerate(self.bottoms):
            dims = " ".join(f"dim: {size}" for size in _shape(bottom))
            lines.append(
                f'layer {{ name: "b{index}" type: "Input" top: "b{index}" '
                f"input_param {{ shape {{ {dims} }} }} }}"
            )
        bottoms = " ".join(f'bottom: "b{index}"' for index in range(len(self.bottoms)))
        top = "b" if self.in_place else "t"
        tops = " ".join(f'top: "{top}{index}"' for index in range(self.tops))
        lines.append(f'layer {{ name: "layer" type: "{caffe_type}" {bottoms} {tops} {self.body} }}')
        return proto.parse_text("\n".join(lines), NetParameter, "case.prototxt")

    def arrays(self) -> dict[str, Array]:
        """The bottoms' values."""
        result = {}
        for index, bottom in enumerate(self.bottoms):
            if isinstance(bottom, np.ndarray):
                result[f"b{index}"] = bottom.astype(np.float32)
            else:
                generator = np.random.default_rng([1701, index])
                result[f"b{index}"] = generator.standard_normal(bottom).astype(np.float32)
        return result


def _shape(bottom: tuple[int, ...] | Array) -> tuple[int, ...]:
    return bottom.shape if isinstance(bottom, np.ndarray) else bottom


def fill_blobs(net: CaffeNet) -> None:
    """Small fixed weights in every parameter blob; positive ones, as variances want to be."""
    for layer, values in net.params.items():
        for index, value in enumerate(values):
            generator = np.random.default_rng([1701, zlib.crc32(layer.encode()), index])
            numbers = generator.uniform(0.25, 1.25, tuple(value.shape)).astype(np.float32)
            with torch.no_grad():
                value.copy_(torch.from_numpy(numbers))


def restore_buffers(net: CaffeNet, state: dict[str, torch.Tensor]) -> None:
    """Statistics as they were, in new tensors: an earlier run's graph may hold the old ones."""
    for name, _ in list(net.named_buffers()):
        holder, _, leaf = name.rpartition(".")
        if name in state:
            setattr(net.get_submodule(holder), leaf, state[name].clone())


def fixed_diffs(net: CaffeNet) -> dict[str, Array]:
    """Normal numbers to stand for the gradient of each of the last layer's tops."""
    tops = zip(net.steps[-1].tops, net.steps[-1].top_shapes, strict=True)
    return {
        name: np.random.default_rng([1702, index]).standard_normal(shape).astype(np.float32)
        for index, (name, shape) in enumerate(tops)
    }


def gradient_classes(net: CaffeNet) -> dict[str, Exactness]:
    """The classes of the layer's gradients: diff/BOTTOM and pdiff/INDEX."""
    held = declared_classes(net)
    classes = {f"diff/{name}": value for name, value in held.diffs.items()}
    for index in range(len(net.params.get("layer", []))):
        classes[f"pdiff/{index}"] = held.param_diffs[f"layer/{index}"]
    return classes


def all_values(net: CaffeNet, run: Run, diffs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tops of the last layer, and all gradients that ``diffs`` on them give."""
    tops = {name: run.blobs[name] for name in net.steps[-1].tops}
    terms = []
    for name, top in tops.items():
        if top.requires_grad:
            # Filter's tops may be smaller than planned.
            diff = diffs[name].flatten()[: top.numel()].view_as(top)
            terms.append((top * diff.to(top.device)).sum())
    if not terms:
        return tops
    wanted = {f"diff/{name}": run.first[name] for name in net.inputs}
    for index, value in enumerate(net.params.get("layer", [])):
        if value.requires_grad:
            wanted[f"pdiff/{index}"] = value
    grads = torch.autograd.grad(sum(terms[1:], terms[0]), list(wanted.values()), allow_unused=True)
    pairs = zip(wanted, grads, strict=True)
    return tops | {name: grad for name, grad in pairs if grad is not None}


class LayerContract:
    """Inherit, and set the attributes; see the module."""

    caffe_type: ClassVar[str]
    cases: ClassVar[dict[str, Case]]
    refusals: ClassVar[dict[str, tuple[Case, str]]]
    options: ClassVar[dict[str, Any]] = {}
    """What else ``CaffeNet`` is built with."""

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        """The tops, by loops: in float32 for a bitwise layer, otherwise in float64."""
        raise NotImplementedError

    reference_backward: ClassVar[Any] = None
    """As ``reference`` with ``top_diffs`` added; gives (bottom diffs, blob diffs), None for a
    bottom that takes no gradient."""

    def build(self, case: Case) -> CaffeNet:
        net = CaffeNet(case.net(self.caffe_type), case.phase, seed=1701, **self.options)
        fill_blobs(net)
        return net

    def call_reference(self, function: Any, case: Case, net: CaffeNet, **more: Any) -> Any:
        step = net.steps[-1]
        dtype = np.float32 if step.exactness.kind == "bitwise" else np.float64
        bottoms = [value.astype(dtype) for value in case.arrays().values()]
        blobs = [value.detach().numpy().astype(dtype) for value in net.params.get("layer", [])]
        with np.errstate(all="ignore"):
            return function(step.param, bottoms, blobs, case.phase, **more)

    def tops(self, net: CaffeNet, run: Run) -> dict[str, torch.Tensor]:
        return {name: run.blobs[name] for name in net.steps[-1].tops}

    def inputs(self, case: Case) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(value.copy()) for name, value in case.arrays().items()}

    def test_matches_reference(self, case: Case) -> None:
        net = self.build(case)
        expected = self.call_reference(self.reference, case, net)
        net.seed(1701)
        if not net.steps[-1].tops:
            assert net.run(self.inputs(case)) and not expected
            return
        probed = sensitivities(net, case.arrays(), lambda n, run, _: self.tops(n, run))
        ours = to_numpy(self.tops(net, net.run(self.inputs(case))))
        if net.steps[-1].plan.tops is not None:
            assert [value.shape for value in ours.values()] == net.steps[-1].top_shapes
        theirs = {
            name: np.asarray(value).astype(np.float32)
            for name, value in zip(net.steps[-1].tops, expected, strict=True)
        }
        assert_parity(ours, theirs, declared_classes(net).blobs, probed)

    def test_gradient(self, case: Case) -> None:
        net = self.build(case)
        if self.reference_backward is not None:
            self._compare_backward(case, net)
        elif case.gradcheck and net.steps[-1].kind.differentiable and case.bottoms:
            self._finite_differences(case, net.double())

    def _compare_backward(self, case: Case, net: CaffeNet) -> None:
        top_diffs = fixed_diffs(net)
        expected = self.call_reference(
            type(self).reference_backward, case, net, top_diffs=list(top_diffs.values())
        )

        def measure(twin: CaffeNet, run: Run, extra: dict[str, torch.Tensor]) -> Any:
            wanted = {
                f"diff/b{i}": run.first[f"b{i}"]
                for i, diff in enumerate(expected[0])
                if diff is not None
            } | {f"pdiff/{i}": twin.params["layer"][i] for i in range(len(expected[1]))}
            total = sum((run.blobs[name] * diff).sum() for name, diff in extra.items())
            grads = torch.autograd.grad(total, list(wanted.values()))
            return dict(zip(wanted, grads, strict=True))

        net.seed(1701)
        probed = sensitivities(net, case.arrays(), measure, extra=top_diffs)
        given = {name: value.requires_grad_() for name, value in self.inputs(case).items()}
        extra = {name: torch.from_numpy(value) for name, value in top_diffs.items()}
        ours = to_numpy(measure(net, net.run(given), extra))
        theirs = {
            **{f"diff/b{i}": d for i, d in enumerate(expected[0]) if d is not None},
            **{f"pdiff/{i}": d for i, d in enumerate(expected[1])},
        }
        theirs = {name: np.asarray(value).astype(np.float32) for name, value in theirs.items()}
        assert_parity(ours, theirs, gradient_classes(net), probed)

    def _finite_differences(self, case: Case, net: CaffeNet) -> None:
        step = net.steps[-1]
        names = [f"b{i}" for i in range(len(case.bottoms)) if i not in step.indices]
        fixed = {name: value.double() for name, value in self.inputs(case).items()}
        free = [fixed[name].clone().requires_grad_() for name in names]
        params = [value for value in net.params.get("layer", []) if value.requires_grad]
        state = copy.deepcopy(net.state_dict())

        def function(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            restore_buffers(net, state)
            net.reset_state()
            net.seed(1701)
            given = fixed | dict(zip(names, values[: len(names)], strict=True))
            tops = self.tops(net, net.run(given))
            return tuple(top for top in tops.values() if top.requires_grad)

        if free:
            assert torch.autograd.gradcheck(function, free)
        for index in range(len(params)):
            self._param_differences(net, params[index], fixed, state)

    def _param_differences(
        self,
        net: CaffeNet,
        param: torch.Tensor,
        fixed: dict[str, torch.Tensor],
        state: dict[str, torch.Tensor],
    ) -> None:
        """The gradient along one fixed direction against the difference quotient."""
        generator = np.random.default_rng(1703)
        direction = torch.from_numpy(generator.standard_normal(tuple(param.shape)))

        def objective() -> torch.Tensor:
            net.reset_state()
            net.seed(1701)
            tops = self.tops(net, net.run(fixed)).values()
            weights = [
                torch.from_numpy(np.random.default_rng(1704).standard_normal(tuple(top.shape)))
                for top in tops
            ]
            return sum(
                ((top * weight).sum() for top, weight in zip(tops, weights, strict=True)),
                torch.zeros((), dtype=torch.float64),
            )

        net.load_state_dict(state)
        (grad,) = torch.autograd.grad(objective(), [param])
        values = []
        for sign in (1, -1):
            net.load_state_dict(state)
            with torch.no_grad():
                param.add_(sign * 1e-6 * direction)
                values.append(objective())
        quotient = (values[0] - values[1]) / 2e-6
        torch.testing.assert_close((grad * direction).sum(), quotient, rtol=1e-6, atol=1e-6)

    def test_is_deterministic_and_leaves_its_input_alone(self, case: Case) -> None:
        net = self.build(case)
        given = self.inputs(case)
        state = copy.deepcopy(net.state_dict())
        net.seed(1701)
        first = self.tops(net, net.run(given))
        for name, value in self.inputs(case).items():
            assert torch.equal(given[name].nan_to_num(), value.nan_to_num()), name
        net.load_state_dict(state)
        net.reset_state()
        net.seed(1701)
        second = self.tops(net, net.run(given))
        for name in first:
            assert torch.equal(first[name].nan_to_num(), second[name].nan_to_num()), name

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    def test_gpu_agrees_with_the_cpu(self, case: Case) -> None:
        net = self.build(case)
        net.seed(1701)
        diffs = fixed_diffs(net)
        probed = sensitivities(net, case.arrays(), all_values, extra=diffs)
        answers = []
        for device in ("cuda", "cpu"):
            twin = copy.deepcopy(net).to(device)
            given = {k: v.to(device).requires_grad_() for k, v in self.inputs(case).items()}
            extra = {name: torch.from_numpy(value) for name, value in diffs.items()}
            answers.append(to_numpy(all_values(twin, twin.run(given), extra)))
        if answers[1]:
            classes = declared_classes(net).blobs | gradient_classes(net)
            assert_parity(*answers, classes, probed)

    def test_state_dict_round_trip(self, case: Case) -> None:
        net = self.build(case)
        other = CaffeNet(case.net(self.caffe_type), case.phase, **self.options)
        other.load_state_dict(net.state_dict())
        for name, blobs in net.params.items():
            for mine, theirs in zip(blobs, other.params[name], strict=True):
                assert torch.equal(mine, theirs)

    def test_printed_source_builds_the_same_layer(self, case: Case) -> None:
        net = self.build(case)
        if not net.outputs:
            return
        # Plain torch operators promise Caffe's bits for finite numbers only.
        given = {
            name: value.nan_to_num(nan=0.5, posinf=2.0, neginf=-2.0)
            for name, value in self.inputs(case).items()
        }
        printed = print_net(net)
        model = construct(printed.source, printed.class_name)
        model.load_state_dict(printed.state.tensors)
        stored = {tensor.data_ptr() for tensor in printed.state.tensors.values()}
        assert {parameter.data_ptr() for parameter in net.parameters()} <= stored
        given, expected = run_net(net, given)
        differences(module_outputs(model, net, printed, given), expected)

    def test_refuses(self, refusal: tuple[Case, str]) -> None:
        case, words = refusal
        with pytest.raises(CaffeError) as caught:
            self.build(case)
        assert words in str(caught.value)
        assert '"layer"' in str(caught.value), "the message does not name the layer"
