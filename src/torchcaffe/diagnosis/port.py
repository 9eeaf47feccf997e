"""A person's module: loaded from where they say, run as it is, left as it was."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.diagnosis.tape import Tape, record
from torchcaffe.errors import InputError

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def load_port(where: str) -> Any:
    """What ``file.py:name`` or ``package.module:name`` is; a function or class is called.

    InputError as for ``find_port``.
    """
    found = find_port(where)
    return found() if callable(found) and not isinstance(found, nn.Module) else found


def find_port(where: str) -> Any:
    """What ``file.py:name`` or ``package.module:name`` is; a function or class is not yet called.

    InputError if there is no such file, module or name, or if it cannot be called without
    arguments.
    """
    source, colon, name = where.rpartition(":")
    if not colon or not source or not name.isidentifier():
        raise InputError(
            f'PORT takes file.py:name or package.module:name, got "{where}"; name is a function '
            f"that returns your module, its class, or the module itself"
        )
    module = _file(Path(source), where) if source.endswith(".py") else _package(source, where)
    if not hasattr(module, name):
        known = [key for key in vars(module) if not key.startswith("_")]
        raise InputError(f'{source} has no "{name}"; it has {", ".join(known) or "nothing"}')
    found = getattr(module, name)
    if isinstance(found, nn.Module) or not callable(found):
        return found
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise InputError(
            f"{where} cannot be called without arguments ({error}); give a function that returns "
            f"the module with its weights loaded"
        ) from None
    except ValueError:  # a callable without a signature
        pass
    return found


def _file(path: Path, where: str) -> Any:
    if not path.is_file():
        raise InputError(f'"{where}": there is no file {path}')
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _package(name: str, where: str) -> Any:
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise InputError(
            f'"{where}": there is no module {name} on Python\'s path; a file is given as file.py:'
        ) from None


def module_of(port: Any) -> nn.Module:
    """The module that a port is, or has as ``module``, ``model`` or ``net``."""
    if isinstance(port, nn.Module):
        return port
    for name in ("module", "model", "net"):
        found = getattr(port, name, None)
        if isinstance(found, nn.Module):
            return found
    raise InputError(
        f"the port is no nn.Module but {type(port).__name__}, and has none as .module, .model or "
        f".net"
    )


@contextmanager
def borrowed(port: nn.Module) -> Iterator[nn.Module]:
    """A copy to work on; of what cannot be copied, the module itself, put back afterwards."""
    generator = torch.random.get_rng_state()
    try:
        twin = copy.deepcopy(port)
    except Exception:  # a module may hold what cannot be copied: locks, handles, graphs
        state = {name: value.clone() for name, value in port.state_dict().items()}
        modes = {name: module.training for name, module in port.named_modules()}
        try:
            yield port
        finally:
            port.load_state_dict(state)
            for name, module in port.named_modules():
                module.training = modes[name]
    else:
        yield twin
    finally:
        torch.random.set_rng_state(generator)


def run_port(port: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[Tape, dict[int, str]]:
    """The tape of a run, and which of the port's inputs is which of Caffe's.

    Inputs go by the names of ``forward`` where those are Caffe's, and else in Caffe's order. They
    are moved to where the port is, and to its type if it takes no other.
    """
    names = _order(port, list(inputs))
    like = next((p for p in port.parameters() if p.is_floating_point()), None)
    given = [inputs[name].to(like.device if like is not None else "cpu") for name in names]
    tape = record(port, given)
    if tape.error is not None and like is not None and like.dtype != torch.float32:
        tape = record(port, [tensor.to(like.dtype) for tensor in given])
    return tape, dict(enumerate(names))


def _order(port: nn.Module, inputs: Sequence[str]) -> list[str]:
    try:
        wanted = list(inspect.signature(port.forward).parameters)
    except (TypeError, ValueError):
        return list(inputs)
    plain = {name.lower(): name for name in inputs}
    found = [plain[name.lower()] for name in wanted if name.lower() in plain]
    return found if len(found) == len(inputs) else list(inputs)


def changed_state(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """The parameters and buffers that a run changed, but for BatchNorm's statistics."""
    return [
        name
        for name, value in before.items()
        if not name.endswith(STATISTICS) and not torch.equal(value, after[name])
    ]


def told(error: Exception) -> str:
    """The traceback of a person's own code, without ours and torch's."""
    kept = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/torch/" not in frame.filename and "torchcaffe/diagnosis" not in frame.filename
    ]
    lines = [f"  {frame.filename}:{frame.lineno}: {frame.line}" for frame in kept]
    return "\n".join([*lines, f"{type(error).__name__}: {error}"])
