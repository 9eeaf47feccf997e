"""A net to a folder that needs torch only: source, weights and a README, proven to be the same.

The written module is run beside the net before anything appears in the folder.
"""

from __future__ import annotations

import ast
import copy
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_file
from torch import Tensor, nn

from torchcaffe.codegen.module import Printed, print_net
from torchcaffe.codegen.names import class_name as safe_class_name
from torchcaffe.codegen.readme import readme
from torchcaffe.errors import CaffeError, ConversionError, InputError
from torchcaffe.layers._exactness import bitwise
from torchcaffe.net import CaffeNet
from torchcaffe.parity.compare import Difference, compare

FILES = ("model.py", "model.safetensors", "README.md")
MARK = ", as PyTorch source."
"""The end of the first line of every model.py written here."""

SEED = 1701
MOST = 1 << 28
"""The most numbers that the blobs of a trial run may hold; above, it takes a batch of two."""


@dataclass(frozen=True)
class Report:
    """What was written, and how it compares with the net.

    ``layers`` says where each layer's module stands in the printed class; ``parameters`` counts
    the numbers stored; ``differences`` has one verdict for each output of the trial run.
    """

    folder: Path
    class_name: str
    layers: dict[str, str]
    parameters: int
    lines: int
    differences: list[Difference]

    @property
    def largest_difference(self) -> float:
        """Of all outputs; 0.0, as the conversion is refused otherwise."""
        return max(difference.max_abs for difference in self.differences)


def convert(
    net: CaffeNet,
    folder: str | PathLike[str],
    *,
    class_name: str | None = None,
    force: bool = False,
    inputs: Mapping[str, Tensor] | None = None,
) -> Report:
    """Write ``model.py``, ``model.safetensors`` and ``README.md`` into ``folder``.

    ``class_name`` names the class, which the net's own name does otherwise. ``force`` writes into a
    folder that holds other files. ``inputs`` are used for the trial run in place of random numbers
    (and zeros and ones where a layer reads indices).

    Raises ConversionError if the folder holds other files, or if the printed module does not
    compute the same bits; then nothing is written.
    """
    target = Path(folder)
    _check_folder(target, force)
    if class_name is not None and class_name != safe_class_name(class_name):
        raise ConversionError(
            f'"{class_name}" is no name for a class; "{safe_class_name(class_name)}" is one'
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        given, expected = _trial(net, inputs)
        printed, differences = _print(net, class_name, scratch, given, expected)
        (scratch / "README.md").write_text(readme(net, printed), encoding="utf-8")
        target.mkdir(exist_ok=True)
        for name in FILES:
            (scratch / name).replace(target / name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Report(
        folder=target,
        class_name=printed.class_name,
        layers=printed.layers,
        parameters=sum(tensor.numel() for tensor in printed.state.tensors.values()),
        lines=printed.source.count("\n"),
        differences=differences,
    )


def _check_folder(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConversionError(f"{folder} is a file; give a folder to write into")
    if force or not folder.exists():
        return
    other = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
    other = [name for name in other if name != "__pycache__"]
    model = folder / "model.py"
    if model.exists() and MARK not in model.read_text(encoding="utf-8", errors="replace")[:200]:
        other.insert(0, "model.py")
    if other:
        listed = ", ".join(other[:3]) + (" ..." if len(other) > 3 else "")
        raise ConversionError(
            f"{folder} holds other files ({listed}); give an empty folder, or force to write "
            f"beside them"
        )


def _print(
    net: CaffeNet,
    name: str | None,
    folder: Path,
    given: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
) -> tuple[Printed, list[Difference]]:
    """The shortest source that computes the same: with blocks, or else one layer after another."""
    for blocks in (True, False):
        printed = print_net(net, name, blocks=blocks)
        try:
            return printed, _check(net, printed, folder, given, expected)
        except Exception:
            if not blocks:
                raise
    raise AssertionError


def _check(
    net: CaffeNet,
    printed: Printed,
    folder: Path,
    given: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
) -> list[Difference]:
    """Write the module, import it, and hold its outputs against the net's."""
    path = folder / "model.py"
    path.write_text(printed.source, encoding="utf-8")
    save_file(
        {name: tensor.contiguous() for name, tensor in printed.state.tensors.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    try:
        model = load(path, printed.class_name, next(iter(net.parameters()), None))
        load_model(model, str(folder / "model.safetensors"))
        answer = _run(model.train(net.phase == "TRAIN"), printed, given)
    except Exception as error:
        raise ConversionError(f"the printed module does not run: {error}") from error
    differences = [
        compare(name, _array(answer[name]), _array(value), bitwise())
        for name, value in expected.items()
    ]
    wrong = [str(difference) for difference in differences if not difference.passed]
    if wrong:
        raise ConversionError(f"the printed module computes something else: {'; '.join(wrong)}")
    return differences


def load_folder(folder: str | PathLike[str]) -> nn.Module:
    """The module that ``convert`` wrote into ``folder``, with its weights, in eval mode.

    Runs the folder's model.py. Raises ConversionError if the folder does not hold what ``convert``
    writes.
    """
    path = Path(folder)
    missing = [name for name in FILES[:2] if not (path / name).is_file()]
    if missing:
        raise ConversionError(
            f"{path} has no {' and no '.join(missing)}; a folder that torchcaffe convert wrote was "
            f"expected"
        )
    tree = ast.parse((path / "model.py").read_text(encoding="utf-8"))
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    if not classes:
        raise ConversionError(f"{path / 'model.py'} defines no class")
    module = load(path / "model.py", classes[-1])
    load_model(module, path / "model.safetensors")
    return module.eval()


def load(path: Path, name: str, like: Tensor | None = None) -> nn.Module:
    """The class ``name`` of a file, constructed; nothing is left in ``sys.modules``."""
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    model = getattr(module, name)()
    assert isinstance(model, nn.Module)
    return model if like is None else model.to(like.device, like.dtype)


def _run(model: nn.Module, printed: Printed, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        answer = model(**{arg: given[name] for name, arg in printed.inputs.items()})
    return answer if isinstance(answer, dict) else dict.fromkeys(printed.outputs, answer)


def _array(value: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]] = value.detach().cpu().numpy()
    return array


# The trial run of the net itself


def _trial(
    net: CaffeNet, inputs: Mapping[str, Tensor] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Inputs, and what the net makes of them."""
    if not net.outputs:
        raise ConversionError(
            "the net has no output: every blob is read by some layer; name the top of a loss layer"
        )
    if inputs is not None:
        return dict(inputs), _outputs(net, inputs)
    whole = sum(np.prod(shape, dtype=float) for step in net.steps for shape in step.top_shapes)
    batches = [2, None] if whole > MOST else [None]
    error: CaffeError | None = None
    for batch in batches:
        for labels in (2, 1):
            given = samples(net, batch, labels)
            try:
                return given, _outputs(net, given)
            except CaffeError as caught:
                error = caught
    raise ConversionError(f"the net does not run on random inputs: {error}") from error


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
        reads.update(step.bottoms[i] for i in step.indices)
    return reads.intersection(net.inputs)


def _outputs(net: CaffeNet, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The outputs; the net's statistics and streams stay as they are."""
    carrying = any(hasattr(module, "reset_state") for module in net.modules() if module is not net)
    if net.phase == "TRAIN" or carrying:
        net = copy.deepcopy(net)
        net.reset_state()
    drawing: list[Any] = [m for m in net.modules() if hasattr(m, "stream") and m is not net]
    streams = [module.stream for module in drawing]
    try:
        for module in drawing:
            module.stream = None
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            answer: dict[str, Tensor] = net(**given)
            return answer
    except InputError as error:
        raise ConversionError(str(error)) from error
    finally:
        for module, stream in zip(drawing, streams, strict=True):
            module.stream = stream
