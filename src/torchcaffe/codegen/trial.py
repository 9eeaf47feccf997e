"""Running a net and the module printed from it side by side, on the same inputs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchcaffe.build import DATA_LAYERS
from torchcaffe.codegen.module import Printed, print_net
from torchcaffe.errors import CaffeError, ConversionError
from torchcaffe.layers._exactness import bitwise
from torchcaffe.net import CaffeNet
from torchcaffe.parity.compare import Difference, compare

SEED = 1701
MOST = 1 << 28
"""The most numbers that the blobs of a trial run should hold; above, a batch of two is tried."""


def trial(
    net: CaffeNet, inputs: Mapping[str, Tensor] | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Inputs, and the outputs that the net makes of them.

    Raises ConversionError for a net without outputs, or one that runs on no inputs tried.
    """
    if not net.outputs:
        raise ConversionError(
            "the net has no output: every blob is read by some layer. Name the top of a loss layer"
        )
    if inputs is not None:
        return run_net(net, inputs)
    whole = sum(np.prod(shape, dtype=float) for step in net.steps for shape in step.top_shapes)
    batches = [2, None] if whole > MOST else [None]
    error: CaffeError | None = None
    for batch in batches:
        for labels in (2, 1):
            try:
                return run_net(net, samples(net, batch, labels))
            except CaffeError as caught:
                error = caught
    raise ConversionError(
        f"the net does not run on random inputs, so that nothing can be compared: {error}"
    ) from error


def samples(net: CaffeNet, batch: int | None = None, labels: int = 2) -> dict[str, Tensor]:
    """Normal numbers for each input, and whole numbers below ``labels`` where they are indices."""
    like = next(iter(net.parameters()), torch.zeros(()))
    generator = torch.Generator().manual_seed(SEED)
    indices = _index_inputs(net)
    result = {}
    for name, shape in net.inputs.items():
        size = (min(batch, shape[0]), *shape[1:]) if batch is not None and shape else shape
        if name in indices:
            value = torch.randint(0, labels, size, generator=generator)
        else:
            value = torch.randn(size, generator=generator)
        result[name] = value.to(like.device, like.dtype)
    return result


def _index_inputs(net: CaffeNet) -> set[str]:
    """Inputs that reach a layer as indices or labels."""
    reads: set[str] = set()
    for step in reversed(net.steps):
        if reads.intersection(step.tops):
            reads.update(step.bottoms)
        reads.update(step.bottoms[i] for i in step.kind.indices if i < len(step.bottoms))
    return reads.intersection(net.inputs)


def run_net(
    net: CaffeNet, given: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The inputs, with what data layers read, and the outputs.

    Random numbers come from torch's generator; the net stays as it was.
    """
    modules = [module for module in net.modules() if module is not net]
    changing = any(hasattr(m, "reset_state") or hasattr(m, "go_to") for m in modules)
    if net.phase == "TRAIN" or changing:
        net = _copy(net)
        net.reset_state()
    with _torch_random_numbers(net), torch.no_grad():
        run = net.run(given)
    read = {
        name: run.first[name]
        for step in net.steps
        if step.kind.name in DATA_LAYERS
        for name in step.tops
    }
    return {**given, **read}, {name: run.blobs[name] for name in net.outputs}


def _copy(net: CaffeNet) -> CaffeNet:
    """A deep copy; parameters that are views of others are copied as they are."""
    views = {
        id(value): value.detach()
        for module in net.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and value.grad_fn is not None
    }
    return copy.deepcopy(net, views)


def scrambled(net: CaffeNet) -> CaffeNet | None:
    """A copy with other weights, if those of some layer are all one number, which hides mix-ups.

    Biases and the like often are before training; the weights tell layers apart without them.
    """
    weights = [value for value in net.parameters() if value.dim() > 1 and value.numel() > 1]
    if all(bool((value != value.flatten()[0]).any()) for value in weights):
        return None
    twin = _copy(net)
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for value in (*twin.parameters(), *twin.buffers()):
            if value.dim() > 1:
                numbers = torch.randn(value.shape, generator=generator)
                value.copy_(numbers * (value.shape[0] / value.numel()) ** 0.5)
            else:
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return twin


@contextmanager
def _torch_random_numbers(net: CaffeNet) -> Iterator[None]:
    drawing: list[Any] = [m for m in net.modules() if hasattr(m, "stream") and m is not net]
    streams = [module.stream for module in drawing]
    for module in drawing:
        module.stream = None
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            yield
    finally:
        for module, stream in zip(drawing, streams, strict=True):
            module.stream = stream


def construct(source: str, name: str, path: Path | None = None) -> nn.Module:
    """An object of the class ``name``; the source runs in a namespace of its own."""
    module = ModuleType("model")
    module.__file__ = str(path or "model.py")
    exec(compile(source, module.__file__, "exec"), module.__dict__)
    model = getattr(module, name)()
    assert isinstance(model, nn.Module)
    return model


def module_outputs(
    model: nn.Module, net: CaffeNet, printed: Printed, given: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What the printed module makes of the inputs, in the net's phase, device and precision."""
    like = next(iter(net.parameters()), None)
    if like is not None:
        model.to(like.device, like.dtype)
    model.train(net.phase == "TRAIN")
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        answer = model(**{argument: given[name] for name, argument in printed.inputs.items()})
    return answer if isinstance(answer, dict) else dict.fromkeys(printed.outputs, answer)


def try_other_weights(net: CaffeNet, name: str, blocks: bool, given: Mapping[str, Tensor]) -> None:
    """Where the net's own weights prove little, compare once more with random ones."""
    twin = scrambled(net)
    if twin is None:
        return
    inputs = {name: value for name, value in given.items() if name in net.inputs}
    all_inputs, expected = run_net(twin, inputs)
    printed = print_net(twin, name, blocks=blocks)
    model = construct(printed.source, printed.class_name)
    model.load_state_dict(printed.state.tensors, strict=False)
    answer = module_outputs(model, twin, printed, all_inputs)
    # Plain torch operators promise Caffe's bits for finite numbers only.
    if all(bool(value.isfinite().all()) for value in expected.values()):
        differences(answer, expected)


def differences(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> list[Difference]:
    """One verdict for each output; ConversionError if one is missing or differs in any bit."""
    if list(ours) != list(theirs):
        raise ConversionError(f"the printed module gives {list(ours)}, the net {list(theirs)}")
    found = [
        compare(name, _array(ours[name]), _array(value), bitwise())
        for name, value in theirs.items()
    ]
    wrong = [str(difference) for difference in found if not difference.passed]
    if wrong:
        raise ConversionError(f"the printed module computes something else: {'; '.join(wrong)}")
    return found


def _array(value: Tensor) -> np.ndarray[Any, np.dtype[Any]]:
    array: np.ndarray[Any, np.dtype[Any]] = value.detach().cpu().numpy()
    return array
