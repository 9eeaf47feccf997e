"""Random messages of every class, for hypothesis."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from torchcaffe.proto.message import INTEGER_RANGES, MESSAGES, Field, Message

MOST_FIELDS = 6
MOST_VALUES = 4


def messages(name: str) -> st.SearchStrategy[Message]:
    """Messages of the class ``name``, with a few of its fields, nested ones too."""
    return _message(MESSAGES[name])


any_message = st.sampled_from(sorted(MESSAGES)).flatmap(messages)


@st.composite
def _message(draw: st.DrawFn, message_class: type[Message]) -> Message:
    fields = list(message_class.fields.values())
    result = message_class()
    chosen = draw(st.lists(st.sampled_from(fields), unique_by=id, max_size=MOST_FIELDS))
    chosen += [field for field in fields if field.required and field not in chosen]
    for field in chosen:
        setattr(result, field.name, draw(_values(field)))
    return result


def _values(field: Field) -> st.SearchStrategy[Any]:
    if field.array:
        width = 32 if field.kind == "float" else 64
        numbers = st.lists(st.floats(width=width), max_size=MOST_VALUES)
        return numbers.map(lambda values: np.array(values, field.dtype))
    one = _value(field)
    return st.lists(one, max_size=MOST_VALUES) if field.repeated else one


def _value(field: Field) -> st.SearchStrategy[Any]:
    if field.kind == "message":
        return _message(field.message)
    if field.kind in INTEGER_RANGES:
        return st.integers(*INTEGER_RANGES[field.kind])
    if field.enum is not None:
        return st.sampled_from(sorted(field.enum.caffe))
    return {
        "float": st.floats(width=32),
        "double": st.floats(),
        "bool": st.booleans(),
        "string": st.text(max_size=12),
        "bytes": st.binary(max_size=12),
    }[field.kind]
