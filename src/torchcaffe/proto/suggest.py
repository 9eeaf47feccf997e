"""What a misspelt name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from torchcaffe.proto.message import MESSAGES, Message

_SUFFIX = "_param"
_FILES = (
    ("NetParameter", "SolverParameter", "a solver"),
    ("SolverParameter", "NetParameter", "a net"),
)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``. Did you mean "..."?``, or nothing if no known name is close."""
    names = {other.lower(): other for other in known}
    for close in get_close_matches(name.lower(), names, n=1, cutoff=0.7):
        return f'. Did you mean "{names[close]}"?'
    return ""


def unknown_field(name: str, message_class: type[Message]) -> str:
    """The words for a field that the message does not have."""
    words = f'unknown field "{name[:80]}" in {message_class.__name__}'
    hint = _elsewhere(name, message_class) or _spelling(name, message_class)
    if not hint and message_class.__name__ == "LayerParameter" and name.endswith(_SUFFIX):
        hint = "; if a layer of your own reads it, register it first (torchcaffe.register_layer)"
    return words + hint


def _spelling(name: str, message_class: type[Message]) -> str:
    if not name.endswith(_SUFFIX):
        return did_you_mean(name, message_class.fields)
    # The ending that all of them share must not make any two of them look alike.
    stems = [
        known.removesuffix(_SUFFIX) for known in message_class.fields if known.endswith(_SUFFIX)
    ]
    return did_you_mean(name.removesuffix(_SUFFIX), stems).replace('"?', f'{_SUFFIX}"?')


def _elsewhere(name: str, message_class: type[Message]) -> str:
    """Where the field belongs, if it is one of another file or of a sub-message."""
    for mine, other, what in _FILES:
        if message_class.__name__ == mine and name in MESSAGES[other].fields:
            return f"; it is a field of {what}, is this the right file?"
    homes = [
        field.name
        for field in message_class.fields.values()
        if field.kind == "message" and name in field.message.fields
    ]
    if not 1 <= len(homes) <= 3:
        return ""
    return f'; "{name}" belongs inside {" or ".join(homes)}.'
