"""Python: a layer that the prototxt names as a class of a Python module."""

from __future__ import annotations

import difflib
import importlib
import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchcaffe.errors import LayerError, NetWarning
from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._own import shapes_of
from torchcaffe.layers._python_blob import Array, ArrayBlob, BlobVec
from torchcaffe.layers._registry import (
    Blob,
    Plan,
    Setup,
    Shape,
    add_note,
    caffe_layer,
    describe,
)
from torchcaffe.layers._uncompiled import leave_uncompiled
from torchcaffe.proto.schema import LayerParameter, PythonParameter


class Layer:
    """Base of layers with Caffe's Python interface: ``caffe.Layer``.

    A subclass has ``setup(bottom, top)``, called once; ``reshape(bottom, top)``, called then and
    before every forward pass, which gives each top its shape; ``forward(bottom, top)``, which
    writes ``top[i].data``; ``backward(top, propagate_down, bottom)``, which writes
    ``bottom[i].diff`` from ``top[i].diff``. ``param_str`` is the prototxt's, ``phase`` is 0 in
    TRAIN and 1 in TEST, and ``blobs.add_blob(*shape)`` in setup adds a parameter.
    """

    param_str = ""
    param_str_ = ""
    phase = 1
    type = "Python"

    def __init__(self, param: LayerParameter | None = None) -> None:
        self.blobs = BlobVec()

    def setup(self, bottom: Sequence[ArrayBlob], top: Sequence[ArrayBlob]) -> None:
        """Read ``param_str``, check the bottoms, add parameters."""

    def reshape(self, bottom: Sequence[ArrayBlob], top: Sequence[ArrayBlob]) -> None:
        """Give every top its shape."""
        raise NotImplementedError(f"{type(self).__name__} has no reshape(bottom, top)")

    def forward(self, bottom: Sequence[ArrayBlob], top: Sequence[ArrayBlob]) -> None:
        """Write the tops' data."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(bottom, top)")

    def backward(
        self, top: Sequence[ArrayBlob], propagate_down: Sequence[bool], bottom: Sequence[ArrayBlob]
    ) -> None:
        """Write the diffs of the bottoms whose ``propagate_down`` is true."""
        raise NotImplementedError(
            f"{type(self).__name__} has no backward(top, propagate_down, bottom)"
        )


class PythonLayer(nn.Module):
    """Runs a ``Layer`` of a person's own: tensors become blobs, and its backward the gradient.

    ``bottoms`` are the shapes that it is set up with, ``tops`` is their number, ``in_place`` lists
    the tops that are the bottoms of the same place.
    """

    def __init__(
        self,
        module: str,
        layer: str,
        param_str: str = "",
        *,
        bottoms: Sequence[Shape],
        tops: int,
        name: str = "",
        phase: str = "TEST",
        in_place: Sequence[int] = (),
    ) -> None:
        super().__init__()
        leave_uncompiled(PythonLayer)
        self.where = f'layer "{name}" (Python), {module}.{layer}'
        param = PythonParameter(module=module, layer=layer, param_str=param_str)
        message = LayerParameter(name=name, type="Python", python_param=param)
        self.in_place = tuple(in_place)
        self.passes = 0
        with self._named("__init__"):
            self.layer: Any = import_class(module, layer, self.where)(message)
        self.layer.param_str = self.layer.param_str_ = param_str
        self.layer.phase = 0 if phase == "TRAIN" else 1
        self.bottom = [ArrayBlob(*shape) for shape in bottoms]
        self.top = [
            self.bottom[index] if index in self.in_place else ArrayBlob() for index in range(tops)
        ]
        self._see([np.zeros(shape, np.float32) for shape in bottoms])
        self._call("setup")
        self._call("reshape")
        for index, blob in enumerate(self.layer.blobs):
            self.register_parameter(f"blob_{index}", nn.Parameter(torch.from_numpy(blob.data)))

    @property
    def top_shapes(self) -> tuple[Shape, ...]:
        """The shapes that the last reshape or forward gave the tops."""
        return tuple(blob.shape for blob in self.top)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        """The tops' data, after the class's reshape and forward."""
        params = list(self.parameters())
        if not self.top:
            self.run(bottoms, params)
            return ()
        result: tuple[Tensor, ...] = PythonFunction.apply(self, len(bottoms), *bottoms, *params)
        return result

    def run(self, bottoms: Sequence[Tensor], params: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One pass without gradients."""
        like = next(iter((*bottoms, *params)), torch.empty(0))
        self.passes += 1
        self._see([_array(value) for value in bottoms])
        for blob in self.top:
            blob.cast(_array(like).dtype)
        for blob, param in zip(self.layer.blobs, params, strict=True):
            blob.hold(_array(param), True)
        self._call("reshape")
        self._call("forward")
        if len(self.layer.blobs) != len(params):
            raise LayerError(
                f"{self.where}: had {len(params)} parameter blobs after setup and has "
                f"{len(self.layer.blobs)} now; call blobs.add_blob in setup only"
            )
        for blob, param in zip(self.layer.blobs, params, strict=True):
            if param.device.type != "cpu":
                param.data.copy_(torch.from_numpy(blob.data))
        return tuple(torch.from_numpy(blob.data.copy()).to(like.device) for blob in self.top)

    def run_backward(
        self, turn: int, top_diffs: Sequence[Tensor], needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """The gradients of the bottoms and of the parameters."""
        if turn != self.passes:
            raise LayerError(
                f"{self.where}: its gradients are wanted for a pass that another one has followed, "
                f"but it keeps only what its last pass left; run backward before the next forward, "
                f"or run the other pass on a deep copy of the net"
            )
        blobs = [*self.bottom, *self.layer.blobs]
        for blob in blobs:
            blob.diff[...] = 0
        for blob, diff in zip(self.top, top_diffs, strict=True):
            blob.diff[...] = _array(diff)
        down = [bool(need) for need in needed[: len(self.bottom)]]
        with self._named("backward"):
            self.layer.backward(self.top, down, self.bottom)
        device = top_diffs[0].device
        return [
            torch.from_numpy(blob.diff.copy()).to(device) if need else None
            for blob, need in zip(blobs, needed, strict=True)
        ]

    def _see(self, arrays: Sequence[Array]) -> None:
        for index, (blob, array) in enumerate(zip(self.bottom, arrays, strict=True)):
            blob.hold(array.copy() if index in self.in_place else array, index in self.in_place)

    def _call(self, method: str) -> None:
        with self._named(method):
            getattr(self.layer, method)(self.bottom, self.top)

    @contextmanager
    def _named(self, method: str) -> Iterator[None]:
        try:
            yield
        except LayerError:
            raise
        except Exception as error:
            if "read-only" in str(error):
                add_note(
                    error,
                    "a bottom's data may be read only; name the top like the bottom to "
                    "work in place, or change a copy",
                )
            add_note(error, f"in {method} of {self.where}")
            raise


class PythonFunction(torch.autograd.Function):
    """A pass of a ``PythonLayer``, and the backward of its class as the gradient."""

    @staticmethod
    def forward(ctx: Any, layer: PythonLayer, count: int, *values: Tensor) -> tuple[Tensor, ...]:
        """``values`` are ``count`` bottoms, then the parameters."""
        tops = layer.run(values[:count], values[count:])
        ctx.layer, ctx.turn = layer, layer.passes
        return tops

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *top_diffs: Tensor) -> tuple[Tensor | None, ...]:
        """What the class's backward leaves in the diffs."""
        needed = ctx.needs_input_grad[2:]
        return None, None, *ctx.layer.run_backward(ctx.turn, top_diffs, needed)


def _array(value: Tensor) -> Array:
    """A view of the numbers where they lie on the CPU, else a copy."""
    array: Array = value.detach().contiguous().cpu().numpy()
    return array


def import_class(module: str, layer: str, where: str) -> Any:
    """The class ``layer`` of a module on Python's search path; LayerError with the way out."""
    if not module or not layer:
        raise LayerError(
            f"{where}: python_param must name a module and a layer, the class in it; got "
            f'module "{module}" and layer "{layer}"'
        )
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise _not_found(error, module, where) from error
    except Exception as error:
        add_note(error, f"in the import of {module} for {where}")
        raise
    kind = getattr(found, layer, None)
    classes = [name for name, value in vars(found).items() if inspect.isclass(value)]
    if kind is None:
        close = difflib.get_close_matches(layer, classes, n=1)
        hint = f' Did you mean "{close[0]}"?' if close else ""
        raise LayerError(f'{where}: module "{module}" has no class "{layer}".{hint}')
    if not (inspect.isclass(kind) and issubclass(kind, (Layer, nn.Module))):
        raise LayerError(
            f"{where}: {module}.{layer} must be a subclass of torchcaffe.layers.python.Layer (with "
            f"setup, reshape, forward and backward) or of torch.nn.Module; it is {kind!r}"
        )
    return kind


def _not_found(error: ModuleNotFoundError, module: str, where: str) -> Exception:
    if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
        return LayerError(
            f'{where}: there is no module "{module}" on Python\'s search path (sys.path), where '
            f"Caffe looks too; put the folder that holds it into PYTHONPATH"
        )
    if error.name == "caffe":
        return LayerError(
            f'{where}: module "{module}" imports "caffe", which is not installed; write "from '
            f'torchcaffe.layers import python as caffe" there, which has caffe.Layer'
        )
    add_note(error, f"in the import of {module} for {where}")
    return error


@caffe_layer("Python", bottoms=(0, None), tops=(0, None), exactness=accumulated(), in_place="ok")
def python(layer: Setup) -> Plan:
    """y = what a class of your own computes: Caffe's interface, or a torch.nn.Module.

    bottoms  any number, of any shape
    tops     any number; the class's reshape(bottom, top) gives the shapes
    blobs    those that its setup adds with blobs.add_blob(*shape), or the module's parameters
    torch    an nn.Module takes the bottoms as arguments and gives a tensor or a tuple; it is
             constructed with param_str if it has a parameter of that name
    Caffe    include/caffe/layers/python_layer.hpp, python/caffe/_caffe.cpp. Off unless allowed
             (allow_python=True, --allow-python): a prototxt that names a module runs its code.
             Modules are searched for on Python's path
    """
    p = layer.param.python_param
    layer.require(
        layer.allow_python,
        f'would import the Python module "{p.module}" and run its class "{p.layer}". That executes '
        f"code which the prototxt chooses, so it is off; if you trust the net and that module, "
        f"allow it: torchcaffe.load(..., allow_python=True), on the command line --allow-python",
    )
    if p.share_in_parallel:
        warnings.warn(
            f"{describe(layer.param)}: share_in_parallel has no effect, as in Caffe's last version",
            NetWarning,
            stacklevel=2,
        )
    kind = import_class(p.module, p.layer, describe(layer.param, "python_param"))
    if issubclass(kind, nn.Module):
        return _module_plan(layer, kind)
    names = zip(layer.param.bottom, layer.param.top, strict=False)
    in_place = tuple(index for index, (bottom, top) in enumerate(names) if bottom == top)
    options: dict[str, Any] = {"in_place": in_place} if in_place else {}
    call = Call(
        "torchcaffe.layers.python.PythonLayer",
        p.module,
        p.layer,
        p.param_str,
        bottoms=layer.bottoms,
        tops=layer.tops,
        name=layer.name,
        phase=layer.phase,
        **options,
    )
    module = call.build()
    for name, blob in zip(layer.param.top, module.top, strict=True):
        layer.require(
            blob.shaped,
            f'{p.module}.{p.layer} leaves top "{name}" without a shape; its reshape must call '
            f"top[i].reshape(*shape) for every top",
        )
    blobs = tuple(Blob(name) for name, _ in module.named_parameters())
    return Plan(call, blobs, fill_order=(), tops=module.top_shapes, module=module)


def _module_plan(layer: Setup, kind: type[nn.Module]) -> Plan:
    """A plan for a person's ``nn.Module``."""
    p = layer.param.python_param
    takes = "param_str" in inspect.signature(kind).parameters
    layer.require(
        takes or not p.param_str,
        f'has the param_str "{p.param_str}", but {p.module}.{p.layer} has no parameter param_str; '
        f"give its __init__ one, or leave param_str out",
    )
    options = {"param_str": p.param_str} if takes else {}
    try:
        module = kind(**options).train(layer.phase == "TRAIN")
        shapes = shapes_of(module, layer)
    except LayerError:
        raise
    except Exception as error:
        add_note(error, f"in {describe(layer.param)}, {p.module}.{p.layer}")
        raise
    blobs = tuple(Blob(name) for name, _ in module.named_parameters())
    call = Call(f"{p.module}.{p.layer}", **options)
    return Plan(call, blobs, fill_order=(), tops=shapes, module=module)
