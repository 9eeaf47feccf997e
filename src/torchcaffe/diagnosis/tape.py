"""A port run once and written down: every call of torch's functions, to be run again in parts.

Recorded are the functions that a person writes (``torch.nn.functional``, methods of tensors,
operators), not the kernels below them, each with its tensors, its other arguments, the module it
was called in and the line of the person's own code.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    _global_forward_hooks_with_kwargs,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

from torchcaffe.diagnosis.findings import Place
from torchcaffe.diagnosis.sizes import followed, kept, resolved, sizes

TORCH = str(Path(torch.__file__).parent)
HERE = str(Path(__file__).parent)

RANDOM = ("dropout", "rand", "bernoulli", "multinomial", "normal", "poisson", "exponential")


@dataclass(frozen=True)
class Ref:
    """A recorded tensor's place in an argument list."""

    value: int


@dataclass
class Op:
    """One call.

    ``args`` and ``kwargs`` hold Refs where there were tensors, ``result`` as well. ``changes`` are
    pairs of values: a tensor before and after it was changed in place.
    """

    index: int
    func: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    changes: list[tuple[int, int]]
    place: Place
    cast: tuple[str, torch.dtype] | None = None
    """The device and type of an autocast that was on."""

    @property
    def inputs(self) -> list[int]:
        """The values it reads."""
        leaves = tree_leaves((self.args, self.kwargs))
        return [leaf.value for leaf in leaves if isinstance(leaf, Ref)]

    @property
    def outputs(self) -> list[int]:
        """The values it makes."""
        made = [leaf.value for leaf in tree_leaves(self.result) if isinstance(leaf, Ref)]
        return list(dict.fromkeys([*made, *(after for _, after in self.changes)]))

    @property
    def shapes_only(self) -> bool:
        """Whether it takes nothing but the shape and the type of its tensors."""
        return self.name.endswith("_like") or self.name.startswith(("new_", "empty"))

    @property
    def measured(self) -> set[int]:
        """The values whose sizes it uses."""
        found = (each for leaf in tree_leaves((self.args, self.kwargs)) for each in sizes(leaf))
        return {value for each in found for value in each.reads}

    @property
    def random(self) -> bool:
        """Whether torch's generator may decide what it gives."""
        return any(word in self.name for word in RANDOM)


@dataclass
class Value:
    """A tensor as it was at one time. ``name`` is a parameter's, a buffer's or an input's."""

    tensor: Tensor
    maker: int | None = None
    name: str = ""


@dataclass
class Tape:
    """The whole run: ``inputs`` and ``outputs`` are values, outputs with their place in the
    answer."""

    values: list[Value] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[tuple[str, int]] = field(default_factory=list)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    opaque: list[str] = field(default_factory=list)
    error: Exception | None = None
    failed: str = ""
    """The call that raised."""
    _fed: list[frozenset[int]] = field(default_factory=list)

    def fed(self) -> list[frozenset[int]]:
        """For each value the inputs of the net that it depends on."""
        if len(self._fed) != len(self.values):
            self._fed = self._find_fed()
        return self._fed

    def _find_fed(self) -> list[frozenset[int]]:
        found: list[frozenset[int]] = [frozenset() for _ in self.values]
        for place, value in enumerate(self.inputs):
            found[value] = frozenset([place])
        for op in self.ops:
            if op.shapes_only:
                continue
            of = frozenset().union(*(found[value] for value in op.inputs))
            for value in op.outputs:
                if value not in self.inputs:
                    found[value] = of
        return found

    def slice(self, wanted: Sequence[int], given: Mapping[int, Any] | set[int]) -> list[Op]:
        """The calls that make ``wanted``, back to ``given`` and what depends on no call."""
        needed: set[int] = set()
        todo = [value for value in wanted if value not in given]
        seen = set(todo)
        while todo:
            maker = self.values[todo.pop()].maker
            if maker is None or maker in needed:
                continue
            needed.add(maker)
            op = self.ops[maker]
            for value in [*op.inputs, *(before for before, _ in op.changes)]:
                if value not in seen and value not in given:
                    seen.add(value)
                    todo.append(value)
        return [self.ops[index] for index in sorted(needed)]


def casting() -> tuple[str, torch.dtype] | None:
    """The autocast that is on, if one is."""
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            return device, torch.get_autocast_dtype(device)
    return None


def autocast(op: Op) -> Any:
    """The autocast that a call was made in."""
    if op.cast is None:
        return nullcontext()
    return torch.autocast(op.cast[0], dtype=op.cast[1], cache_enabled=False)


Edit = Callable[[Op, tuple[Any, ...], dict[str, Any]], Any]


class Player:
    """Runs a tape's calls again, one after the other, on tensors of one's own."""

    def __init__(
        self, tape: Tape, edits: Mapping[int, Edit] | None = None, widened: bool = False
    ) -> None:
        self.tape, self.edits, self.widened = tape, edits or {}, widened
        self.at: dict[int, Tensor] = {}

    def put(self, value: int, tensor: Tensor) -> None:
        """Let a value be ``tensor`` from now on."""
        like = self.tape.values[value].tensor
        kind = tensor.dtype if self.widened else like.dtype
        self.at[value] = tensor.to(like.device, kind, copy=True)

    def get(self, value: int) -> Tensor:
        """A value: put, made, or what was recorded of one that depends on no call."""
        if value not in self.at:
            self.at[value] = self.tape.values[value].tensor.clone()
        return self.at[value]

    def run(self, op: Op) -> None:
        """One call; what it changes in place is changed here too."""
        args, kwargs = tree_map(self._given, (op.args, op.kwargs))
        edit = self.edits.get(op.index)
        with torch.no_grad(), autocast(op):
            made = op.func(*args, **kwargs) if edit is None else edit(op, args, kwargs)
        for before, after in op.changes:
            self.at[after] = self.get(before)
        for ref, tensor in zip(tree_leaves(op.result), tree_leaves(made), strict=True):
            if isinstance(ref, Ref):
                self.at[ref.value] = tensor

    def _given(self, leaf: Any) -> Any:
        if isinstance(leaf, Ref):
            return self.get(leaf.value)
        return resolved(leaf, self.at, lambda value: self.tape.values[value].tensor)

    def again(self, op: Op, value: int, tensor: Tensor) -> Tensor:
        """What a call makes first, with one value replaced, leaving everything as it is."""
        twin = Player(self.tape, self.edits)
        twin.at = dict(self.at)
        twin.put(value, tensor)
        twin.run(op)
        return twin.at[op.outputs[0]]


def replay(
    tape: Tape,
    given: Mapping[int, Tensor],
    wanted: Sequence[int],
    edits: Mapping[int, Edit] | None = None,
) -> dict[int, Tensor]:
    """The ``wanted`` values of a part of the tape, from ``given`` ones."""
    ops = tape.slice(wanted, set(given))
    # Where every call is edited, so that none is in half precision, nothing is put in it either.
    widened = bool(edits) and all(op.index in (edits or {}) for op in ops)
    player = Player(tape, edits, widened)
    found: dict[int, Tensor] = {}
    for value, tensor in given.items():
        player.put(value, tensor)
        if value in wanted:
            found[value] = player.at[value].clone()
    for op in ops:
        player.run(op)
        found |= {value: player.at[value].clone() for value in op.outputs if value in wanted}
    return found | {value: player.get(value) for value in wanted if value not in found}


class Recorder(TorchFunctionMode):
    """Within it, calls of torch's functions on tensors are written to ``tape``."""

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self.tape, self.names = Tape(), names
        self.known: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self.path: list[str] = []

    # Values

    def see(self, tensor: Tensor, maker: int | None, name: str = "") -> int:
        """Write down a tensor as it is now; its new number."""
        number = len(self.tape.values)
        self.tape.values.append(Value(tensor.detach().clone(), maker, name))
        self.known[id(tensor)] = (weakref.ref(tensor), number)
        return number

    def number(self, tensor: Tensor) -> int:
        """The number of a tensor; one that no recorded call made is a constant."""
        held = self.known.get(id(tensor))
        if held is not None and held[0]() is tensor:
            return held[1]
        return self.see(tensor, None, self.names.get(id(tensor), ""))

    # Calls

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        versions = [_version(tensor) for tensor in given]
        held = tree_map(self._ref, (args, kwargs)) if _interesting(func) else None
        try:
            result = func(*args, **kwargs)
        except Exception:
            self.tape.failed = name_of(func)
            raise
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        name = name_of(func)
        if name in ("shape", "size") and given and id(given[0]) in self.known:
            return followed(self.number(given[0]), result, _axis(given[0], result, args, kwargs))
        changed = [
            tensor
            for tensor, version in zip(given, versions, strict=True)
            if _version(tensor) != version or (version is None and _in_place(name, kwargs))
        ]
        if held is None or not (made or changed):
            return result
        self.write(func, name, held, result, changed)
        return result

    def write(
        self, func: Any, name: str, held: Any, result: Any, changed: Sequence[Tensor] = ()
    ) -> None:
        """Put a call on the tape."""
        index = len(self.tape.ops)
        changes = self._changes(changed, index)
        refs = tree_map(lambda leaf: self._made(leaf, index, changed), result)
        place = Place(self.path[-1] if self.path else "", name, *caller())
        self.tape.ops.append(
            Op(index, func, name, held[0], held[1], refs, changes, place, casting())
        )

    def _ref(self, leaf: Any) -> Any:
        return Ref(self.number(leaf)) if isinstance(leaf, Tensor) else kept(leaf)

    def _made(self, leaf: Any, index: int, changed: Sequence[Tensor]) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if any(leaf is tensor for tensor in changed):
            return Ref(self.known[id(leaf)][1])
        return Ref(self.see(leaf, index))

    def _changes(self, changed: Sequence[Tensor], index: int) -> list[tuple[int, int]]:
        """New values for the tensors changed in place, and for those that share their memory."""
        if not changed:
            return []
        memories = {_memory(tensor) for tensor in changed}
        living = [tensor for each, _ in self.known.values() if (tensor := each()) is not None]
        sharing = [tensor for tensor in living if _memory(tensor) in memories]
        touched = list({id(tensor): tensor for tensor in [*changed, *sharing]}.values())
        found = []
        for tensor in touched:
            before = self.number(tensor)
            name = self.tape.values[before].name
            found.append((before, self.see(tensor, index, name)))
        return found

    # Modules

    @contextmanager
    def inside(self, port: nn.Module) -> Iterator[None]:
        """Know which module a call is made in; hooks of all modules reach scripted ones too."""
        self.tape.modules = dict(port.named_modules())
        paths = {id(module): name for name, module in self.tape.modules.items()}

        def enter(module: nn.Module, _: Any) -> None:
            if id(module) in paths:
                self.path.append(paths[id(module)])

        def leave(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            if id(module) in paths:
                with torch._C.DisableTorchFunction():  # what is written down here is no call
                    self._bridge(module, args, kwargs, result, self.path.pop())

        handles = [
            register_module_forward_pre_hook(enter),
            register_module_forward_hook(leave, with_kwargs=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
                # torch forgets to, and would then warn whoever compiles a module.
                _global_forward_hooks_with_kwargs.pop(handle.id, None)

    def _bridge(self, module: nn.Module, args: Any, kwargs: Any, result: Any, path: str) -> None:
        """A module whose answer no recorded call made (it has a Function of its own) is a call."""
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        new = [
            tensor
            for tensor in made
            if (held := self.known.get(id(tensor))) is None or held[0]() is not tensor
        ]
        if not new or path == "":
            return
        held = tree_map(self._ref, (args, kwargs))
        self.path.append(path)
        self.tape.opaque.append(path)
        self.write(module.forward, type(module).__name__, held, result)
        self.path.pop()


def record(port: nn.Module, inputs: Sequence[Tensor], keywords: Sequence[str] = ()) -> Tape:
    """Run the port once on ``inputs`` (the last ones by keyword, if ``keywords`` names them).

    The tape of a port that raises ends where it did, with the ``error``.
    """
    named = [*port.named_parameters(remove_duplicate=False), *port.named_buffers()]
    recorder = Recorder({id(tensor): name for name, tensor in named})
    tape = recorder.tape
    given = [tensor.clone() for tensor in inputs]
    tape.inputs = [recorder.see(tensor, None, f"input {n}") for n, tensor in enumerate(given)]
    first = len(given) - len(keywords)
    try:
        with torch.no_grad(), recorder.inside(port), recorder:
            answer = port(*given[:first], **dict(zip(keywords, given[first:], strict=True)))
    except Exception as error:
        tape.error = error
        return tape
    ends = answers(answer)
    fed, numbers = tape.fed(), [recorder.number(tensor) for _, tensor in ends]
    if not any(number < len(fed) and fed[number] for number in numbers):
        # It came from outside of torch's functions: the whole port is one call.
        held: Any = (tuple(Ref(value) for value in tape.inputs), {})
        recorder.write(_tensors_of(port), type(port).__name__, held, [t for _, t in ends], ())
        made = [leaf.value for leaf in tree_leaves(tape.ops[-1].result) if isinstance(leaf, Ref)]
        numbers = made
        tape.opaque.append("")
    tape.outputs = [(path, number) for (path, _), number in zip(ends, numbers, strict=True)]
    return tape


def _tensors_of(port: nn.Module) -> Callable[..., Any]:
    """The port as a function that gives the tensors of its answer."""
    return lambda *given: [tensor for _, tensor in answers(port(*given))]


def answers(answer: Any, path: str = "") -> list[tuple[str, Tensor]]:
    """The tensors in what a port returns, each with its key or place."""
    if isinstance(answer, Tensor):
        return [(path, answer)]
    if isinstance(answer, Mapping):
        items = [(str(name), part) for name, part in answer.items()]
    elif isinstance(answer, (tuple, list)):
        names = getattr(answer, "_fields", range(len(answer)))
        items = [(str(name), part) for name, part in zip(names, answer, strict=True)]
    elif hasattr(answer, "__dataclass_fields__"):
        items = [(name, getattr(answer, name)) for name in answer.__dataclass_fields__]
    else:
        items = [(str(n), leaf) for n, leaf in enumerate(tree_flatten(answer)[0])]
        items = [item for item in items if isinstance(item[1], Tensor)]
    found = []
    for name, part in items:
        found += answers(part, f"{path}.{name}" if path else name) if part is not None else []
    return found


def caller() -> tuple[str, int]:
    """File and line of the innermost frame that is neither torch's nor ours."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((TORCH, HERE, "<frozen")):
            return name, frame.f_lineno
        frame = frame.f_back
    return "", 0


ALIASES = {
    "max_pool2d_with_indices": "max_pool2d", "adaptive_max_pool2d_with_indices":
    "adaptive_max_pool2d", "__matmul__": "matmul", "mm": "matmul", "bmm": "matmul",
    "__radd__": "add", "__add__": "add", "__iadd__": "add", "add_": "add",
    "__mul__": "mul", "__rmul__": "mul", "__imul__": "mul", "mul_": "mul", "multiply": "mul",
    "__sub__": "sub", "__rsub__": "rsub", "__isub__": "sub", "sub_": "sub", "subtract": "sub",
    "__truediv__": "div", "__itruediv__": "div", "div_": "div", "true_divide": "div",
    "concat": "cat", "concatenate": "cat", "relu_": "relu", "__getitem__": "getitem",
    "__setitem__": "setitem", "batch_norm": "batch_norm", "leaky_relu_": "leaky_relu",
    "dropout_": "dropout", "feature_dropout": "dropout2d",
}  # fmt: skip


def name_of(func: Any) -> str:
    """A function's short name: "conv2d", "max_pool2d", "add", "T"."""
    name = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":
        return str(getattr(func.__self__, "__name__", name))
    bare = name.lstrip("_") if not name.startswith("__") else name
    return ALIASES.get(bare, bare)


def _interesting(func: Any) -> bool:
    name = getattr(func, "__name__", "")
    return name not in ("__set__", "__repr__", "__format__", "backward", "__hash__")


def _axis(tensor: Tensor, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The axis whose size was asked for; None for the whole shape."""
    if isinstance(result, tuple):
        return None
    return int(args[1] if len(args) > 1 else kwargs["dim"]) % tensor.dim()


def _in_place(name: str, kwargs: Mapping[str, Any]) -> bool:
    return name.endswith("_") or name == "setitem" or bool(kwargs.get("inplace"))


def _version(tensor: Tensor) -> int | None:
    try:
        return int(tensor._version)
    except RuntimeError:  # made in inference mode
        return None


def _memory(tensor: Tensor) -> int:
    try:
        return int(tensor.untyped_storage().data_ptr())
    except (RuntimeError, NotImplementedError):
        return id(tensor)
