"""Layer types of a person's own: a class, its message as a table, a name.

``register_layer`` is the door; the rest of what a file of own layers needs can be imported from
here as well: the makers of fields, the exactness classes, and what a plan function works with.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from torchcaffe.errors import InputError
from torchcaffe.layers._call import BOTTOMS, Bottom, Call, resolve
from torchcaffe.layers._exactness import Exactness, accumulated, bitwise, ulp
from torchcaffe.layers._own import shapes_of
from torchcaffe.layers._registry import (
    REGISTRY,
    Arity,
    Blob,
    Plan,
    Setup,
    caffe_layer,
    filler,
    layer_types,
    shape_text,
)
from torchcaffe.proto.message import (
    MESSAGES,
    Enum,
    Field,
    Message,
    boolean,
    enum,
    float32,
    int32,
    message,
    repeated,
    string,
    uint32,
)
from torchcaffe.proto.schema import LayerParameter

__all__ = [
    "BOTTOMS",
    "Blob",
    "Bottom",
    "Call",
    "Enum",
    "Plan",
    "Setup",
    "accumulated",
    "bitwise",
    "boolean",
    "enum",
    "filler",
    "float32",
    "forget_layer",
    "int32",
    "message",
    "register_layer",
    "repeated",
    "string",
    "uint32",
    "ulp",
]

Definition = TypeVar("Definition", bound=Callable[..., Any])

GIVEN = ("bottom_shapes", "tops", "phase")
"""What a class may take besides its fields: the bottoms' shapes, the number of tops, the phase."""


@dataclass(frozen=True)
class Own:
    """A registration: where the class stands, and the field that was added for its message."""

    origin: str
    param: str | None


OWN: dict[str, Own] = {}


def register_layer(
    name: str,
    *,
    param: str | None = None,
    number: int | None = None,
    fields: Mapping[str, Any] | None = None,
    bottoms: int | Arity = 1,
    tops: int | Arity = 1,
    blobs: Mapping[str, str | None] | None = None,
    exactness: Exactness | None = None,
    gradient: Exactness | None = None,
    in_place: str = "wrong",
    loss: bool = False,
    equal: bool = False,
    indices: tuple[int, ...] = (),
    differentiable: bool = True,
    max_axes: int | None = None,
) -> Callable[[Definition], Definition]:
    """Make the decorated class the layer type ``name``; prototxts may use it from then on.

    The class is an ``nn.Module`` whose ``forward`` takes the bottoms and gives the tops. Its
    constructor takes fields of the layer's message by their names, and if it likes
    ``bottom_shapes``, ``tops`` (their number) and ``phase``; a ValueError that it raises becomes
    the refusal of the layer. A function is taken for a plan: from ``Setup`` to ``Plan``.

    param, number, fields
        the message's name in a layer ("permute_param"), its field number in LayerParameter, and
        its table. ``param`` alone names one of Caffe's own messages.
    bottoms, tops
        how many: a number, or (least, most) with None for no limit.
    blobs
        the parameters in Caffe's order, each with the message's field that may hold its filler, or
        None. Without it, all parameters in the class's order. A blob whose filler is not given
        keeps the constructor's values.
    exactness, gradient
        the classes that verify holds the layer to; ``accumulated()`` if not given.
    in_place, loss, equal, indices, differentiable, max_axes
        as for Caffe's layers; docs/own-layers.md explains them.

    Registering the same class again, as a notebook does, replaces it. InputError for a name, a
    field or a number that is taken, and for a constructor that does not fit the fields.
    """
    door = Door(name, param, number, dict(fields or {}), dict(blobs or {}), blobs is not None)

    def register(definition: Definition) -> Definition:
        origin = f"{definition.__module__}.{definition.__qualname__}"
        if name in OWN and OWN[name].origin == origin:
            forget_layer(name)
        door.check_free()
        plan = door.plan(definition, origin)
        if door.fields:
            door.add_message()
        caffe_layer(
            name,
            bottoms=bottoms,
            tops=tops,
            exactness=exactness or accumulated(),
            gradient=gradient,
            in_place=in_place,
            loss=loss,
            equal=equal,
            indices=indices,
            differentiable=differentiable,
            max_axes=max_axes,
            since="own",
            params=(param,) if param and not door.fields else (),
        )(plan)
        OWN[name] = Own(origin, param if door.fields else None)
        resolve.cache_clear()
        return definition

    return register


def forget_layer(name: str) -> None:
    """Undo ``register_layer``; InputError if ``name`` was not registered."""
    if name not in OWN:
        known = ", ".join(f'"{own}"' for own in OWN) or "none"
        raise InputError(f'forget_layer("{name}"): no such layer was registered, only {known}')
    own = OWN.pop(name)
    del REGISTRY[name]
    if own.param is not None:
        field = LayerParameter.fields.pop(own.param)
        del LayerParameter.numbers[field.number]
        del MESSAGES[field.of]
        delattr(LayerParameter, own.param)


@dataclass(frozen=True)
class Door:
    """What ``register_layer`` was given about the message and the blobs."""

    name: str
    param: str | None
    number: int | None
    fields: dict[str, Any]
    blobs: dict[str, str | None]
    all_blobs: bool

    def require(self, condition: bool, text: str) -> None:
        """Raise InputError unless ``condition`` holds."""
        if not condition:
            raise InputError(f'register_layer("{self.name}"): {text}')

    def check_free(self) -> None:
        """Refuse names and numbers that are taken, and a message that is half described."""
        types = layer_types()
        if self.name in types:
            owner = OWN[self.name].origin if self.name in OWN else "torchcaffe itself"
            self.require(False, f"{owner} has a layer type of this name; choose another")
        if not self.fields:
            self.require(self.number is None, "a number needs the fields of the message it is for")
            self.require(
                self.param is None or self.param in LayerParameter.fields,
                f'LayerParameter has no field "{self.param}"; give the fields of the message and '
                f"its number too",
            )
            return
        self.require(
            self.param is not None and self.number is not None,
            "fields need the message's name in a layer and its number in LayerParameter, as in "
            'param="permute_param", number=202',
        )
        self._check_message(str(self.param), int(self.number or 0))

    def _check_message(self, param: str, number: int) -> None:
        self.require(
            param.isidentifier() and param.endswith("_param"),
            f'param takes a name that ends in "_param", got "{param}"',
        )
        self.require(
            param not in LayerParameter.fields,
            f'LayerParameter has a field "{param}" already; choose another name',
        )
        self.require(
            0 < number < 2**29 and not 19000 <= number < 20000,
            f"number takes 1 to 536870911 without 19000 to 19999, got {number}",
        )
        if number in LayerParameter.numbers:
            free = max(LayerParameter.numbers) + 1
            taken = LayerParameter.numbers[number].name
            self.require(
                False, f'number {number} is "{taken}" in LayerParameter; {free} is free, and more'
            )
        message_name = f"{self.name}Parameter"
        self.require(
            message_name not in MESSAGES and message_name.isidentifier(),
            f'its message would be called "{message_name}", which is taken or no name at all',
        )
        for key, field in self.fields.items():
            self.require(
                isinstance(field, Field),
                f'field "{key}" takes what uint32(1), float32(2, default=1.0) and the like make, '
                f"got {field!r}",
            )
        numbers = [field.number for field in self.fields.values()]
        self.require(
            len(set(numbers)) == len(numbers), f"two fields have one number: {sorted(numbers)}"
        )

    def add_message(self) -> None:
        """Add the message and its field in LayerParameter."""
        message_name = f"{self.name}Parameter"
        type(message_name, (Message,), dict(self.fields))
        LayerParameter.extend(str(self.param), message(int(self.number or 0), message_name))

    def plan(self, definition: Callable[..., Any], origin: str) -> Callable[[Setup], Plan]:
        """The plan function of a class, or the function itself, with a docstring."""
        if inspect.isclass(definition):
            self.require(
                issubclass(definition, nn.Module),
                f"{origin} must be a torch.nn.Module or a plan function",
            )
            self.require(
                "<locals>" not in origin,
                f"{origin} stands inside a function; move it to the top of a module, from where "
                f"converted code can import it",
            )
            arguments = self._arguments(definition)
            made = functools.partial(own_plan, self, definition, origin, arguments)
        else:
            self.require(not self.blobs, "a plan function lists its blobs in its Plan")
            made = functools.partial(definition)

        def plan(layer: Setup) -> Plan:
            return made(layer)

        plan.__doc__ = definition.__doc__ or f"{self.name}, as {origin} computes it."
        plan.__module__ = definition.__module__
        return plan

    def table(self) -> Mapping[str, Field]:
        """The fields of the message, new or Caffe's own."""
        if self.param is None or self.fields:
            return self.fields
        return LayerParameter.fields[self.param].message.fields

    def _arguments(self, kind: type[nn.Module]) -> list[str]:
        """The constructor's parameters that it will be given; InputError if they do not fit."""
        table, taken = self.table(), []
        for key, parameter in inspect.signature(kind).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            needed = parameter.default is parameter.empty
            fits = key in GIVEN or (key in table and table[key].kind != "message")
            self.require(
                fits or not needed,
                f'{kind.__name__}.__init__ takes "{key}", which is no field that holds numbers or '
                f"text, nor one of {', '.join(GIVEN)}",
            )
            if fits:
                taken.append(key)
            if key in self.fields and not needed:
                self._check_default(key, parameter.default)
        for key, filler_field in self.blobs.items():
            fits = filler_field is None or (
                filler_field in table and table[filler_field].of == "FillerParameter"
            )
            self.require(
                fits,
                f'blob "{key}" names the filler "{filler_field}", which is no field '
                f'message(n, "FillerParameter")',
            )
        unread = sorted(set(self.fields) - set(taken) - set(self.blobs.values()))
        self.require(
            not unread,
            f"nothing reads the field{'s' * (len(unread) > 1)} {', '.join(unread)}: "
            f"{kind.__name__}.__init__ does not take "
            f"{'them' if len(unread) > 1 else 'it'}, and no blob has it for a filler",
        )
        return taken

    def _check_default(self, key: str, default: Any) -> None:
        field = self.fields[key]
        absent = () if field.repeated else field.default
        same = tuple(default) == () if field.repeated and default is not None else default == absent
        self.require(
            same,
            f'"{key}" is {default!r} by default in __init__ and {absent!r} in the table; the table '
            f"counts, so let them agree or leave the first out",
        )


def own_plan(
    door: Door, kind: type[nn.Module], origin: str, arguments: Sequence[str], layer: Setup
) -> Plan:
    """The plan of a layer whose class a person registered: the module, made already."""
    table = door.table()
    given = getattr(layer.param, door.param) if door.param else None
    for field, _ in given.present() if given is not None else ():
        if field.name not in arguments and field.name not in door.blobs.values():
            raise layer.refuse(f'{door.param} has "{field.name}", which {origin} does not take')
    extra = {"bottom_shapes": layer.bottoms, "tops": layer.tops, "phase": layer.phase}
    values: dict[str, Any] = {}
    for key in arguments:
        value = getattr(given, key) if key in table else extra[key]
        values[key] = tuple(value) if isinstance(value, list) else value
    try:
        module = kind(**values).train(layer.phase == "TRAIN")
    except ValueError as error:
        raise layer.refuse(str(error)) from error
    try:
        shapes = shapes_of(module, layer)
    except (RuntimeError, ValueError, IndexError) as error:
        listed = ", ".join(shape_text(shape) for shape in layer.bottoms)
        raise layer.refuse(f"cannot be computed for bottoms of {listed}: {error}") from error
    names, fillers = _own_blobs(door, layer, module, origin)
    blobs = tuple(
        Blob(name, filler(given, chosen)) if chosen else Blob(name)
        for name, chosen in zip(names, fillers, strict=True)
    )
    order = tuple(
        index
        for index, chosen in enumerate(fillers)
        if chosen and given is not None and given.has(chosen)
    )
    return Plan(Call(origin, **values), blobs, fill_order=order, tops=shapes, module=module)


def _own_blobs(
    door: Door, layer: Setup, module: nn.Module, origin: str
) -> tuple[list[str], list[str | None]]:
    """The attributes that are blobs, and the fields of their fillers."""
    parameters = [name for name, _ in module.named_parameters()]
    if not door.all_blobs:
        return parameters, [None] * len(parameters)
    known = {*parameters, *[name for name, _ in module.named_buffers()]}
    missing = [name for name in door.blobs if name not in known]
    layer.require(
        not missing,
        f'{origin} has no parameter or buffer "{missing[0] if missing else ""}", which its '
        f"registration lists among the blobs; it has {', '.join(sorted(known)) or 'none'}",
    )
    left = [name for name in parameters if name not in door.blobs]
    layer.require(
        not left,
        f'{origin} has a parameter "{left[0] if left else ""}" that its registration does not '
        f"list among the blobs; no solver and no weights file would know it",
    )
    return list(door.blobs), list(door.blobs.values())
