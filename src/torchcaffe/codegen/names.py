"""Names: Caffe's free strings to identifiers, and to text that is safe inside source.

Whatever a prototxt calls its layers, nothing of it reaches the source but letters, digits and
underscores, or an escaped string literal.
"""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterable

from torch import nn

LONGEST = 40
"""Longer identifiers are cut, so that every statement fits into a line."""

MODULE_NAMES = frozenset(dir(nn.Module()))
"""Attributes of every module, which no layer may replace."""

PYTHON_NAMES = frozenset({*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "self"})

_SHORT = {
    "Deconvolution": "deconv",
    "InnerProduct": "fc",
    "Pooling": "pool",
    "BatchNorm": "bn",
    "LRN": "norm",
    "Eltwise": "sum",
    "PReLU": "prelu",
    "ReLU": "relu",
    "SoftmaxWithLoss": "loss",
    "TanH": "tanh",
}


def identifier(text: str, fallback: str = "layer") -> str:
    """``text`` as a name: ASCII letters, digits, underscores, not a keyword, not too long.

    ``fallback`` stands in for a name without any letter or digit, and before a leading digit.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^0-9A-Za-z]+", "_", plain).strip("_")
    if not name:
        name = fallback
    elif re.match(r"\d+x\d+", name) and fallback in name:
        name = f"conv{name}"  # the size of a kernel
    elif name[0].isdigit():
        name = f"{fallback}{name}" if fallback[-1:].isalpha() else f"{fallback}_{name}"
    name = name[:LONGEST].rstrip("_")
    return f"{name}_" if keyword.iskeyword(name) else name


def short_kind(kind: str) -> str:
    """A layer type as people abbreviate it in attribute names: ``conv``, ``fc``, ``pool``."""
    return _SHORT.get(kind) or ("conv" if kind.startswith("Conv") else identifier(snake(kind)))


def class_name(text: str, fallback: str = "Net") -> str:
    """``text`` in the form of class names: ``open-nsfw resnet 50`` is ``OpenNsfwResnet50``."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = ""
    for word in re.findall(r"[0-9A-Za-z]+", plain):
        between = "_" if name[-1:].isdigit() and word[0].isdigit() else ""
        name += between + word[0].upper() + word[1:]
    name = name[:LONGEST].rstrip("_")
    if not name or name[0].isdigit():
        name = f"{fallback}{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def snake(name: str) -> str:
    """A class name in the form of variables: ``ConvBNReLU`` is ``conv_bn_relu``."""
    name = name.replace("ReLU", "Relu").replace("BN", "Bn")
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    return "_".join(words).lower()


class Names:
    """Hands out each name once, and none that is reserved."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self.reserved = frozenset(reserved)
        self.taken = set(self.reserved)

    def unique(self, name: str, joint: str = "_") -> str:
        """``name``; ``name_`` if it is reserved, ``name_2``, ``name_3`` ... if it is taken."""
        if name in self.reserved:
            name += "_"
        candidate, count = name, 1
        while candidate in self.taken:
            count += 1
            candidate = f"{name}{joint}{count}"
        self.taken.add(candidate)
        return candidate


def quote(text: str) -> str:
    """``text`` as a string literal, in double quotes wherever that needs no more escapes."""
    escaped = repr(f"{text}'\"")[1:-1]  # both quotes: repr then escapes the single ones
    escaped = escaped[: -len("\\'\"")]
    single, double = text.count("'"), text.count('"')
    if double > single:
        return f"'{escaped}'"
    bare = re.sub(r"\\(.)", lambda found: "'" if found[1] == "'" else found[0], escaped)
    return '"' + bare.replace('"', '\\"') + '"'


def safe_text(text: str) -> str:
    """``text`` as it may stand in a docstring or a comment; other characters become ``?``."""
    return re.sub(r"[^0-9A-Za-z .,:;/()\[\]_+=-]", "?", text)[:LONGEST] or "?"


def tokens(name: str) -> list[str]:
    """A layer's name in pieces: words, numbers, and what stands between them."""
    return re.findall(r"[A-Za-z]+|[0-9]+|[^0-9A-Za-z]+", name)
