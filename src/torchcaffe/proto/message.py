"""Messages with presence, as proto2 has them: what ``text`` and ``wire`` read into and write from.

A message class is a table of fields, written as it would be in a ``.proto`` file::

    class LRNParameter(Message):
        local_size: int = uint32(1, default=5)
        alpha: float = float32(2, default=1.0)

Reading a field that is absent gives its default; ``has`` tells the two apart, because many of
Caffe's rules depend on presence. Enum values are their names (``"MAX"``). Repeated fields are
lists, except the bulk number fields of blobs, which are numpy arrays (views of the mapped file
when they come from one).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

INTEGER_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
}


class Location(NamedTuple):
    """A place in a text file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Enum:
    """A named set of values; in messages a value is its name.

    ``ours`` are values that Caffe does not have.
    """

    def __init__(self, name: str, *, ours: Mapping[str, int] | None = None, **numbers: int) -> None:
        self.name = name
        self.caffe: dict[str, int] = numbers
        self.numbers: dict[str, int] = {**numbers, **(ours or {})}
        self.names: dict[int, str] = {number: value for value, number in self.numbers.items()}


@dataclass(eq=False)
class Field:
    """One line of a message's table.

    ``kind`` is one of the keys of ``INTEGER_RANGES``, ``"float"``, ``"double"``, ``"bool"``,
    ``"string"``, ``"bytes"``, ``"enum"`` or ``"message"``.
    """

    number: int
    kind: str
    default: Any = None
    repeated: bool = False
    packed: bool = False
    required: bool = False
    array: bool = False
    of: str = ""
    enum: Enum | None = None
    name: str = ""
    owner: str = ""

    @property
    def message(self) -> type[Message]:
        """The class of a message field."""
        return MESSAGES[self.of]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type of an array field."""
        return np.dtype("<f4" if self.kind == "float" else "<f8")

    def __get__(self, instance: Message | None, owner: type[Message]) -> Any:
        if instance is None:
            return self
        values = instance._values
        if self.name in values:
            return values[self.name]
        if self.array:
            return np.empty(0, self.dtype)
        if self.repeated:
            if instance._frozen:
                return []
            return values.setdefault(self.name, [])
        if self.kind == "message":
            return self.message._default()
        return self.default

    def __set__(self, instance: Message, value: Any) -> None:
        if instance._frozen:
            raise TypeError(
                f"{self.owner}.{self.name}: this {self.owner} is absent from its parent and reads "
                f"as the default; use the parent's ensure() to add one that can be changed"
            )
        instance._values[self.name] = self.check(value)

    def check(self, value: Any) -> Any:
        """Give ``value`` as the message keeps it, or raise TypeError or ValueError."""
        if self.array:
            return np.asarray(value, self.dtype).reshape(-1)
        if self.repeated:
            return [self.check_one(item) for item in value]
        return self.check_one(value)

    def check_one(self, value: Any) -> Any:
        """As ``check``, for one element of a repeated field."""
        where = f"{self.owner}.{self.name}"
        if self.kind in INTEGER_RANGES:
            if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"{where} takes an integer, got {value!r}")
            low, high = INTEGER_RANGES[self.kind]
            if not low <= value <= high:
                raise ValueError(f"{where} takes {self.kind} ({low} to {high}), got {value}")
            return int(value)
        if self.kind in ("float", "double"):
            if isinstance(value, (str, bytes)):
                raise TypeError(f"{where} takes a number, got {value!r}")
            with np.errstate(over="ignore"):
                return float(np.float32(value)) if self.kind == "float" else float(value)
        if self.kind == "bool":
            if value not in (True, False):
                raise TypeError(f"{where} takes true or false, got {value!r}")
            return bool(value)
        if self.kind == "enum":
            assert self.enum is not None
            if value not in self.enum.numbers:
                known = ", ".join(self.enum.numbers)
                raise ValueError(f"{where} takes one of {known}, got {value!r}")
            return value
        wanted = {"string": str, "bytes": bytes, "message": None}[self.kind] or self.message
        if not isinstance(value, wanted):
            raise TypeError(f"{where} takes {wanted.__name__}, got {value!r}")
        return value


MESSAGES: dict[str, type[Message]] = {}
"""Every message class by name."""


class Message:
    """Base of all messages; see the module."""

    fields: ClassVar[dict[str, Field]] = {}
    numbers: ClassVar[dict[int, Field]] = {}
    demanding: ClassVar[bool] = False
    """Whether a field is required."""

    def __init__(self, **values: Any) -> None:
        self._values: dict[str, Any] = {}
        self._where: dict[str, Location] = {}
        self._frozen = False
        self.location: Location | None = None
        self.unknown: list[tuple[int, int, bytes]] = []
        for name, value in values.items():
            self.field(name)
            setattr(self, name, value)

    def __init_subclass__(cls) -> None:
        if cls.__name__ in MESSAGES:
            raise TypeError(f"a message named {cls.__name__} exists already")
        cls.fields = {}
        cls.numbers = {}
        for name, value in list(vars(cls).items()):
            if isinstance(value, Field):
                cls._add(name, value)
        MESSAGES[cls.__name__] = cls

    @classmethod
    def _add(cls, name: str, field: Field) -> None:
        field.name, field.owner = name, cls.__name__
        cls.fields[name] = field
        cls.numbers[field.number] = field
        cls.demanding = cls.demanding or field.required
        cls.fields = dict(sorted(cls.fields.items(), key=lambda item: item[1].number))

    @classmethod
    def extend(cls, name: str, field: Field) -> None:
        """Add a field to a message that exists, as a fork of Caffe would."""
        if name in cls.fields:
            raise ValueError(f"{cls.__name__} has a field {name!r} already")
        if field.number in cls.numbers:
            taken = cls.numbers[field.number].name
            raise ValueError(f"{cls.__name__} field {field.number} is {taken!r} already")
        setattr(cls, name, field)
        cls._add(name, field)

    @classmethod
    def _default(cls) -> Message:
        default = cls.__dict__.get("_empty")
        if default is None:
            default = cls()
            default._frozen = True
            cls._empty = default  # type: ignore[attr-defined]
        assert isinstance(default, Message)
        return default

    @classmethod
    def field(cls, name: str) -> Field:
        """The table line of a field; AttributeError if there is none."""
        try:
            return cls.fields[name]
        except KeyError:
            raise AttributeError(f"{cls.__name__} has no field {name!r}") from None

    def has(self, name: str) -> bool:
        """Whether the field is present (for a repeated one: not empty)."""
        field = self.field(name)
        if name not in self._values:
            return False
        return len(self._values[name]) > 0 if field.repeated else True

    def clear(self, name: str) -> None:
        """Make the field absent."""
        self.field(name)
        self._values.pop(name, None)
        self._where.pop(name, None)

    def ensure(self, name: str) -> Any:
        """The sub-message ``name``, added empty if it is absent."""
        if name not in self._values:
            setattr(self, name, self.field(name).message())
        return self._values[name]

    def present(self) -> Iterator[tuple[Field, Any]]:
        """The fields that are present, by ascending number, with their values."""
        for name, field in self.fields.items():
            if self.has(name):
                yield field, self._values[name]

    def where(self, name: str | None = None) -> Location | None:
        """Where the field (or the message itself) was read, if it came from text."""
        return self._where.get(name, self.location) if name else self.location

    def copy(self) -> Any:
        """A deep copy; arrays are shared, as they are never changed in place."""
        twin = type(self)()
        twin.location = self.location
        twin._where = dict(self._where)
        twin.unknown = list(self.unknown)
        for field, value in self.present():
            if field.kind == "message":
                value = [item.copy() for item in value] if field.repeated else value.copy()
            elif field.repeated and not field.array:
                value = list(value)
            twin._values[field.name] = value
        return twin

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, Message)
        mine, theirs = dict(self.present_values()), dict(other.present_values())
        return mine == theirs and self.unknown == other.unknown

    __hash__ = None  # type: ignore[assignment]

    def present_values(self) -> Iterator[tuple[str, Any]]:
        """Present fields by name, arrays as bytes, so that NaNs compare by their bits."""
        for field, value in self.present():
            yield field.name, value.tobytes() if field.array else value

    def __repr__(self) -> str:
        inside = ", ".join(
            f"{field.name}=<{len(value)} numbers>" if field.array else f"{field.name}={value!r}"
            for field, value in self.present()
        )
        return f"{type(self).__name__}({inside})"


def _maker(kind: str, zero: Any) -> Any:
    def make(number: int, *, default: Any = zero, required: bool = False) -> Any:
        if kind == "float":
            default = float(np.float32(default))
        return Field(number, kind, default, required=required)

    return make


int32 = _maker("int32", 0)
int64 = _maker("int64", 0)
uint32 = _maker("uint32", 0)
float32 = _maker("float", 0.0)
boolean = _maker("bool", False)
string = _maker("string", "")
octets = _maker("bytes", b"")


def enum(number: int, of: Enum, *, default: str | None = None) -> Any:
    """A field that holds one of the names of ``of``; without a default, the first."""
    return Field(number, "enum", default or next(iter(of.numbers)), enum=of)


def message(number: int, of: str) -> Any:
    """A field that holds a message of the class named ``of``."""
    return Field(number, "message", of=of)


def repeated(number: int, kind: str, *, packed: bool = False) -> Any:
    """A list; ``kind`` is a scalar kind or the name of a message class."""
    scalars: Mapping[str, str] = {"float32": "float", "boolean": "bool", "octets": "bytes"}
    if kind in INTEGER_RANGES or kind == "string" or kind in scalars:
        return Field(number, scalars.get(kind, kind), repeated=True, packed=packed)
    return Field(number, "message", repeated=True, of=kind)


def repeated_enum(number: int, of: Enum) -> Any:
    """A list of names of ``of``."""
    return Field(number, "enum", repeated=True, enum=of)


def numbers(number: int, kind: str, *, packed: bool = True) -> Any:
    """A numpy array; ``kind`` is ``"float"`` or ``"double"``."""
    return Field(number, kind, repeated=True, packed=packed, array=True)
