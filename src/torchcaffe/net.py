"""A Caffe net as an ``nn.Module``: the run loop, its blobs, parameters and losses.

Caffe: ``src/caffe/net.cpp``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchcaffe.build import Step, apply, build_steps, explain, without_gradient
from torchcaffe.errors import InputError
from torchcaffe.graph import filter_layers, merged_state
from torchcaffe.layers._data import DataLayer
from torchcaffe.layers._registry import Shape, shape_text
from torchcaffe.optimize import OptimizedNet
from torchcaffe.overwrite import apply_overwritten
from torchcaffe.parameters import (
    Learnable,
    fill_blobs,
    freeze,
    give_memory,
    multipliers,
    share,
    tensor_of,
)
from torchcaffe.proto.schema import NetParameter, ParamSpec
from torchcaffe.random import Mersenne

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Run:
    """What one pass through the net computed.

    ``blobs`` holds every blob by its Caffe name, of an in-place chain the last value; ``first``
    the value before the in-place layers, whose gradient is what Caffe's diff holds after backward;
    ``loss`` the sum of all tops with a loss weight.
    """

    blobs: dict[str, Tensor]
    first: dict[str, Tensor]
    loss: Tensor


class CaffeNet(nn.Module):
    """A net in one phase.

    The phase is Caffe's and chosen when the net is built; ``train()`` and ``eval()`` do not
    change it. Calling the net takes its inputs (one as the only argument, several by name; each a
    tensor or array of any shape that the layers allow) and gives a dict of its output blobs.
    """

    def __init__(
        self,
        param: NetParameter,
        phase: str | None = None,
        *,
        level: int = 0,
        stages: Sequence[str] = (),
        inputs: Mapping[str, Sequence[int]] | None = None,
        seed: int | Mersenne | None = None,
        rng: str = "caffe",
        unfilled: Sequence[str] = (),
        allow_python: bool = False,
    ) -> None:
        """Build the net; ``unfilled`` names layers whose blobs weights will overwrite at once.

        A stream given as ``seed`` is drawn on from where it stands, and shared with its giver.
        """
        super().__init__()
        if rng not in ("caffe", "torch"):
            raise InputError(f'rng takes "caffe" or "torch", got "{rng}"')
        if phase not in (None, "TRAIN", "TEST"):
            raise InputError(f'phase takes "TRAIN" or "TEST", got "{phase}"')
        state = merged_state(param, phase, level, stages)
        self.name = param.name
        self.phase = state.phase
        self.rng = rng
        self.stream = seed if isinstance(seed, Mersenne) else Mersenne(seed)
        layers = filter_layers(param, state)
        self.steps = build_steps(
            layers, self.phase, inputs or {}, param.force_backward, allow_python
        )
        self.keys: list[str | None] = []
        self._own_modules()
        self._fill(set(unfilled) if seed is None else set())
        self._owned, self._views = share(self.steps)
        self._refresh_views()
        _ = self.learnable  # which refuses sharers that contradict each other
        freeze(self.steps)

    def _own_modules(self) -> None:
        """Register each layer's module under the layer's name and give it memory."""
        for step in self.steps:
            if step.module is None:
                self.keys.append(None)
                continue
            key = step.name.replace(".", "_") or "_"
            while key in self._modules:
                key += "_"
            # Layers may be called "type" or "forward": add_module would refuse those.
            self._modules[key] = step.module
            if step.plan.module is None:
                give_memory(step, step.module)
            if hasattr(step.module, "stream"):
                setattr(step.module, "stream", self.stream if self.rng == "caffe" else None)  # noqa: B010
            self.keys.append(key)

    def _fill(self, unfilled: set[str]) -> None:
        for step in self.steps:
            if isinstance(step.module, DataLayer):
                step.module.begin(self.stream)
            if step.module is not None and step.name not in unfilled:
                fill_blobs(step, step.module, self.stream)

    # What the net consists of

    @property
    def inputs(self) -> dict[str, Shape]:
        """The inputs and the shapes that the prototxt (or the caller) gave them."""
        return {
            top: shape
            for step in self.steps
            if step.kind.name == "Input"
            for top, shape in zip(step.tops, step.top_shapes, strict=True)
        }

    @property
    def data_layers(self) -> dict[str, DataLayer]:
        """The layers that read data, by name: their sources, and where in them they stand."""
        modules = zip(self.steps, self._step_modules(), strict=True)
        return {step.name: module for step, module in modules if isinstance(module, DataLayer)}

    @property
    def index_inputs(self) -> set[str]:
        """Inputs that some layer reads as labels or indices."""
        source = {name: name for name in self.inputs}
        found: set[str] = set()
        for step in self.steps:
            for position, name in enumerate(step.bottoms):
                if position in step.indices and name in source:
                    found.add(source[name])
            if step.kind.name in ("Split", "Reshape", "Flatten", "Slice", "Concat"):
                source |= {
                    top: source[name]
                    for name in step.bottoms[:1]
                    if name in source
                    for top in step.tops
                }
        return found

    @property
    def outputs(self) -> list[str]:
        """Blobs that no layer reads, in Caffe's order: that of their bytes."""
        available: set[str] = set()
        for step in self.steps:
            available.difference_update(step.bottoms)
            available.update(top for top in step.tops if top != "(automatic)")
        return sorted(available, key=lambda name: name.encode())

    @property
    def params(self) -> dict[str, list[Tensor]]:
        """The parameter blobs of each layer that has any, in Caffe's order."""
        return {
            step.name: [tensor_of(module, blob.attribute) for blob in step.plan.blobs]
            for step, module in zip(self.steps, self._step_modules(), strict=True)
            if module is not None and step.plan.blobs
        }

    def owner(self, layer: str, index: int) -> tuple[str, int]:
        """The layer and index of the blob that a (perhaps shared) parameter blob is."""
        step = next(step for step in self.steps if step.name == layer and step.plan.blobs)
        owner, owner_index = self._owned.get(step.specs[index].name, (step, index))
        return owner.name, owner_index

    def _step_modules(self) -> list[nn.Module | None]:
        return [self._modules[key] if key is not None else None for key in self.keys]

    @property
    def learnable(self) -> list[Learnable]:
        """The blobs that a solver updates, each once, with the multipliers that hold for it."""
        result: dict[tuple[str, int], tuple[Tensor, list[ParamSpec]]] = {}
        params = self.params
        for step in self.steps:
            for index, spec in enumerate(step.specs):
                owner, owner_index = self._owned.get(spec.name, (step, index))
                key = (owner.name, owner_index)
                entry = result.setdefault(key, (params[owner.name][owner_index], []))
                entry[1].append(spec)
        learnable = []
        for (layer, index), (value, specs) in result.items():
            rate, decay = multipliers(layer, specs)
            # BatchNorm's statistics are listed with the rest, at a rate of 0.
            rate = rate if isinstance(value, nn.Parameter) else 0.0
            learnable.append(Learnable(layer, index, value, rate, decay))
        return learnable

    def optimize(self, dtype: torch.dtype = torch.float32) -> OptimizedNet:
        """A copy for fast inference: BatchNorm and Scale folded, ReLU and sums fused, packed.

        It is close to this net, not its bits: ``difference`` says how close on a fixed input.
        Only for phase TEST; InputError otherwise, or if the copy is off by more than 0.0001.
        With torch.bfloat16 as ``dtype``, convolutions and inner products read their weights and
        bottoms in half the bytes, and the copy may be off by 0.1.
        """
        if self.phase != "TEST":
            raise InputError("only a net in phase TEST can be optimized: TRAIN changes statistics")
        if self.data_layers:
            raise InputError(
                f"a net that reads its own data cannot be optimized; build it with the shapes of "
                f"the tops of {', '.join(self.data_layers)} as inputs"
            )
        result = OptimizedNet(self.steps, self._step_modules(), self.outputs, dtype)
        generator = torch.Generator().manual_seed(1701)
        example = {
            name: torch.zeros(shape)
            if name in self.index_inputs
            else torch.randn(shape, generator=generator)
            for name, shape in self.inputs.items()
        }
        like = next(self.parameters(), torch.zeros(()))
        example = {name: value.to(like.device) for name, value in example.items()}
        with torch.no_grad():
            exact, fast = self(**example), result(**example)
        result.difference = max(
            float((fast[name] - value).abs().max() / value.abs().max().clamp(min=1e-30))
            for name, value in exact.items()
        )
        if not result.difference <= (1e-4 if dtype == torch.float32 else 0.1):
            raise InputError(
                f"the optimized net differs from the exact one by {result.difference:.2g} of its "
                f"output; its folded weights are too badly scaled, use the exact net"
            )
        return result

    def seed(self, seed: int) -> None:
        """Restart Caffe's random stream, as ``caffe.set_random_seed`` does."""
        self.stream.state = Mersenne(seed).state

    def reset_state(self) -> None:
        """Let LSTM and RNN layers forget the state that they carry from pass to pass."""
        for module in self.modules():
            reset = getattr(module, "reset_state", None)
            if module is not self and callable(reset):
                reset()

    # Running

    def forward(self, *args: Tensor | Array, **inputs: Tensor | Array) -> dict[str, Tensor]:
        """The output blobs; see the class for how inputs are given."""
        run = self.run(self._named(args, inputs))
        return {name: run.blobs[name] for name in self.outputs}

    def blobs(
        self, *args: Tensor | Array, until: str | None = None, **inputs: Tensor | Array
    ) -> dict[str, Tensor]:
        """Every blob by its Caffe name; ``until`` names the last layer to run."""
        return self.run(self._named(args, inputs), until=until).blobs

    def _named(
        self, args: Sequence[Tensor | Array], inputs: Mapping[str, Tensor | Array]
    ) -> dict[str, Tensor | Array]:
        names = list(self.inputs)
        if args and (len(args) != 1 or len(names) != 1 or inputs):
            raise InputError(
                f"a net with {len(names)} inputs takes them by name: "
                f"{', '.join(f'{name}=...' for name in names)}"
            )
        return {names[0]: args[0]} if args else dict(inputs)

    def run(self, inputs: Mapping[str, Tensor | Array], until: str | None = None) -> Run:
        """One forward pass; InputError for inputs that are missing or not the net's."""
        if until is not None and until not in {step.name for step in self.steps}:
            raise InputError(f'the net has no layer "{until}"; "torchcaffe inspect" lists them')
        unknown = set(inputs) - set(self.inputs)
        if unknown:
            raise InputError(
                f"the net's inputs are {', '.join(self.inputs) or 'none'}; "
                f"got {', '.join(sorted(unknown))}"
            )
        self._refresh_views()
        given = {name: self._as_tensor(name, value) for name, value in inputs.items()}
        blobs: dict[str, Tensor] = {}
        run = Run(blobs, {}, self._zero(given))
        step = self.steps[0]
        try:
            for step, key in zip(self.steps, self.keys, strict=True):
                self._run_step(step, key, given, run)
                if step.name == until:
                    break
        except Exception as error:
            explained = explain(step, [blobs[name] for name in step.bottoms], error)
            if explained is error:
                raise
            raise explained from error
        return run

    def _run_step(self, step: Step, key: str | None, given: Mapping[str, Tensor], run: Run) -> None:
        if step.kind.name == "Input":
            for name in step.tops:
                if name not in given:
                    raise InputError(f'input "{name}" is missing; {self._inputs_text()}')
                run.blobs[name] = run.first[name] = given[name]
            return
        bottoms = [run.blobs[name] for name in step.bottoms]
        for position, down in enumerate(step.param.propagate_down):
            if not down and not step.needs.bottoms[position]:
                bottoms[position] = bottoms[position].detach()
        if step.needs.lost:
            bottoms = [without_gradient(bottom) for bottom in bottoms]
        module = self._modules[key] if key is not None else None
        if step.overwritten and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            tops = apply_overwritten(step, module, bottoms, run.blobs)
        else:
            tops = apply(step.function, module, bottoms)
        if step.needs.lost and not bottoms:
            tops = tuple(without_gradient(top) for top in tops)
        if step.needs.cut or not step.kind.differentiable:
            tops = tuple(top.detach() for top in tops)
        for name in step.also_changes:
            old = run.blobs[name]
            # The new numbers, with the gradient that goes to the old ones.
            run.blobs[name] = tops[0].detach().view(old.shape) + (old - old.detach())
        for name, top, weight in zip(step.tops, tops, step.loss_weights, strict=True):
            if name not in step.bottoms:
                run.first[name] = top
            run.blobs[name] = top
            if weight:
                run.loss = run.loss + self._weighted(name, step, top) * weight

    def _weighted(self, name: str, step: Step, top: Tensor) -> Tensor:
        """A loss top's sum; without its gradient if another layer's backward overwrites that."""
        after = self.steps[self.steps.index(step) + 1 :]
        overwritten = any(
            need
            for other in after
            for bottom, need in zip(other.bottoms, other.needs.bottoms, strict=True)
            if bottom == name
        )
        return top.detach().sum() if overwritten else top.sum()

    def _inputs_text(self) -> str:
        listed = ", ".join(f"{name} ({shape_text(shape)})" for name, shape in self.inputs.items())
        return f"the net takes {listed}"

    def _as_tensor(self, name: str, value: Tensor | Array) -> Tensor:
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(np.ascontiguousarray(value))
        if not isinstance(value, Tensor):
            raise InputError(
                f'input "{name}" takes a tensor or an array, got {type(value).__name__}'
            )
        like = next((p for p in self.parameters()), None)
        dtype = like.dtype if like is not None else torch.get_default_dtype()
        return value if value.is_floating_point() else value.to(dtype)

    @staticmethod
    def _zero(given: Mapping[str, Tensor]) -> Tensor:
        like = next(iter(given.values()), torch.zeros(()))
        return torch.zeros((), dtype=like.dtype, device=like.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> CaffeNet:
        # Views of shared parameters belong to no leaf, which torch refuses to copy.
        for view in self._views:
            delattr(view.holder, view.leaf)
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        for net in (self, twin):
            net._refresh_views()
        return twin

    def _refresh_views(self) -> None:
        for view in self._views:
            view.put()
