"""A net to a folder that needs torch only: source, weights and a README, proven to be the same.

The written module is run beside the net before anything appears in the folder.
"""

from __future__ import annotations

import ast
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from safetensors.torch import load_model, save_file
from torch import Tensor, nn

from torchcaffe.codegen.module import Printed, print_net
from torchcaffe.codegen.names import class_name as as_class_name
from torchcaffe.codegen.readme import readme
from torchcaffe.codegen.trial import (
    construct,
    differences,
    module_outputs,
    trial,
    try_other_weights,
)
from torchcaffe.errors import ConversionError
from torchcaffe.net import CaffeNet
from torchcaffe.parity.compare import Difference

FILES = ("model.py", "model.safetensors", "README.md")

MARK = ", as PyTorch source."
"""The end of the first line of every model.py that is written here."""


@dataclass(frozen=True)
class Report:
    """What was written, and how it compares with the net.

    ``layers`` says where each layer's module stands in the printed class; ``parameters`` counts
    the numbers stored, ``lines`` those of the source; ``differences`` has one verdict for each
    output of the trial run.
    """

    folder: Path
    class_name: str
    layers: dict[str, str]
    parameters: int
    lines: int
    differences: list[Difference]

    @property
    def largest_difference(self) -> float:
        """Of all outputs: 0.0, or the conversion would have been refused."""
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

    class_name
        the class's name; without it, made of the net's own.
    force
        write into a folder that holds other files, or a model.py that was not written here.
    inputs
        the trial run's inputs by name; without them, random numbers, and 0 and 1 for labels.

    Raises ConversionError if the folder holds other files, or if the printed module does not
    compute the same bits as the net; then nothing is written.
    """
    target = Path(folder)
    _check_folder(target, force)
    if class_name is not None and class_name != as_class_name(class_name):
        raise ConversionError(
            f'"{class_name}" cannot name a class; "{as_class_name(class_name)}" can'
        )
    given, expected = trial(net, inputs)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        printed, found = _write(net, class_name, scratch, given, expected)
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
        differences=found,
    )


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
    source = (path / "model.py").read_text(encoding="utf-8")
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    if not classes:
        raise ConversionError(f"{path / 'model.py'} defines no class")
    model = construct(source, classes[-1], path / "model.py")
    load_model(model, path / "model.safetensors")
    return model.eval()


def _check_folder(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConversionError(f"{folder} is a file; give a folder to write into")
    if force or not folder.exists():
        return
    known = {*FILES, "__pycache__"}
    other = sorted(path.name for path in folder.iterdir() if path.name not in known)
    model = folder / "model.py"
    if model.exists() and MARK not in model.read_text(encoding="utf-8", errors="replace")[:200]:
        other.insert(0, model.name)
    if other:
        listed = ", ".join(other[:3]) + (" ..." if len(other) > 3 else "")
        raise ConversionError(
            f"{folder} holds other files ({listed}); give an empty folder, or force to write "
            f"beside and over them"
        )


def _write(
    net: CaffeNet,
    name: str | None,
    folder: Path,
    given: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
) -> tuple[Printed, list[Difference]]:
    """Source and weights that were tried: with blocks, or else one layer after the other."""

    def write(blocks: bool) -> tuple[Printed, list[Difference]]:
        printed = print_net(net, name, blocks=blocks)
        found = _try(net, printed, folder, given, expected)
        try_other_weights(net, printed.class_name, blocks, given)
        return printed, found

    try:
        return write(True)
    except Exception:
        return write(False)


def _try(
    net: CaffeNet,
    printed: Printed,
    folder: Path,
    given: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
) -> list[Difference]:
    """Write the module, import it, and hold its outputs against the net's."""
    path = folder / "model.py"
    path.write_text(printed.source, encoding="utf-8")
    weights = {name: tensor.contiguous() for name, tensor in printed.state.tensors.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    try:
        model = construct(printed.source, printed.class_name, path)
        load_model(model, str(folder / "model.safetensors"))
        answer = module_outputs(model, net, printed, given)
    except Exception as error:
        raise ConversionError(f"the printed module does not run: {error}") from error
    return differences(answer, expected)
