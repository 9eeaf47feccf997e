"""The official protobuf package, with our own table for its descriptors: the peer to agree with."""

from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message as OfficialMessage

from torchcaffe.proto.message import MESSAGES, Enum, Field, Message
from torchcaffe.proto.schema import NetParameter

assert NetParameter.__name__ in MESSAGES

_PROTO = descriptor_pb2.FieldDescriptorProto


def official_class(name: str) -> type[OfficialMessage]:
    """The official package's class for the message ``name`` of our table."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"caffe.{name}"))


def to_official(message: Message) -> OfficialMessage:
    """``message`` as the official package's object, field by field, not through bytes."""
    result = official_class(type(message).__name__)()
    for field, value in message.present():
        target = getattr(result, field.name)
        if field.kind == "message":
            for part in value if field.repeated else (value,):
                twin = target.add() if field.repeated else target
                twin.CopyFrom(to_official(part))
                twin.SetInParent()
        elif field.repeated:
            target.extend([_number(field, item) for item in value])
        else:
            setattr(result, field.name, _number(field, value))
    return result


def _number(field: Field, value: Any) -> Any:
    if field.enum is not None:
        return field.enum.numbers[value]
    return value.item() if isinstance(value, np.generic) else value


def describe(descriptor: Descriptor) -> list[str]:
    """Every fact of a message's table, one line a field, defaults as values."""
    lines = []
    for field in sorted(descriptor.fields, key=lambda field: field.number):
        of = field.message_type.name if field.message_type else ""
        if field.enum_type:
            values = sorted((value.number, value.name) for value in field.enum_type.values)
            of = f"{field.enum_type.full_name} {values}"
        default = None if field.is_repeated or field.message_type else field.default_value
        if field.type == FieldDescriptor.TYPE_FLOAT and default is not None:
            default = np.float32(default).tobytes().hex()
        lines.append(
            f"{descriptor.name} {field.number} {field.name} type {field.type} {of} "
            f"{'repeated' if field.is_repeated else ''} {'required' if field.is_required else ''} "
            f"{'packed' if field.is_packed else ''} default {default!r}"
        )
    return lines


def _build() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    enums: set[str] = set()
    messages = {name: file.message_type.add(name=name) for name in MESSAGES}
    for name, message_class in MESSAGES.items():
        for field in message_class.fields.values():
            messages[name].field.append(_field(field))
            if field.enum is not None and field.enum.name not in enums:
                enums.add(field.enum.name)
                owner, _, short = field.enum.name.rpartition(".")
                _enum((messages[owner] if owner else file).enum_type.add(name=short), field.enum)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _enum(target: descriptor_pb2.EnumDescriptorProto, enum: Enum) -> None:
    for name, number in enum.caffe.items():
        target.value.add(name=name, number=number)


def _field(field: Field) -> descriptor_pb2.FieldDescriptorProto:
    result = _PROTO(name=field.name, number=field.number)
    result.type = getattr(_PROTO, f"TYPE_{field.kind.upper()}")
    result.label = _PROTO.LABEL_REPEATED if field.repeated else _PROTO.LABEL_OPTIONAL
    if field.required:
        result.label = _PROTO.LABEL_REQUIRED
    if field.kind == "message":
        result.type_name = f".caffe.{field.of}"
    elif field.enum is not None:
        result.type_name = f".caffe.{field.enum.name}"
    if field.packed:
        result.options.packed = True
    if not field.repeated and field.kind != "message" and field.default:
        result.default_value = _default(field)
    elif field.enum is not None and not field.repeated:
        result.default_value = field.default
    return result


def _default(field: Field) -> str:
    if field.kind == "bool":
        return "true" if field.default else "false"
    return str(field.default)


_POOL = _build()
