"""Opening files, and telling what a file is that is not Caffe's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from torchcaffe.errors import InputError, ParseError

HEAD = 4096
"""How much of a file ``recognise`` wants to see."""

_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Caffe names its HDF5 weights .caffemodel.h5)"),
    (b"PK\x03\x04", "a zip archive, as torch.save writes (.pth, .pt) and numpy's savez (.npz)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x80\x02", "a Python pickle, as old versions of torch.save write (.pth)"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"\x93NUMPY", "a numpy array (.npy)"),
    (b"version https://git-lfs", 'a git-lfs pointer (run "git lfs pull" to get the file itself)'),
    (b"\x1f\x8b", "compressed with gzip (decompress it first)"),
    (b"BZh", "compressed with bzip2 (decompress it first)"),
    (b"\xfd7zXZ\x00", "compressed with xz (decompress it first)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive (decompress it first)"),
    (b"\xff\xfe", "UTF-16 text (save it as UTF-8)"),
    (b"\xfe\xff", "UTF-16 text (save it as UTF-8)"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"<!DOCTYPE", "a web page (perhaps a failed download)"),
    (b"<!doctype", "a web page (perhaps a failed download)"),
    (b"<html", "a web page (perhaps a failed download)"),
    (b'{"', "JSON"),
    (b"ustar", "a tar archive (unpack it first)"),
)
_FIELD = re.compile(rb"(?:^|\n)[ \t]*[a-z_]+[ \t\r\n]*(?::|\{)")


def open_error(path: str | Path, wanted: str, error: OSError) -> ParseError:
    """The ParseError for a file that could not be opened or read."""
    if isinstance(error, FileNotFoundError):
        return ParseError(f"{path} does not exist; {wanted} was expected there.")
    if isinstance(error, IsADirectoryError):
        return ParseError(f"{path} is a folder; {wanted} was expected there.")
    reason = (error.strerror or str(error)).lower()
    return ParseError(f"{path} cannot be read ({reason}); {wanted} was expected there.")


def read_bytes(path: str | Path, wanted: str) -> bytes:
    """The bytes of ``path``; ``wanted`` says in an error what was expected, with its article."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise open_error(path, wanted, error) from None
    except ValueError as error:
        raise ParseError(f"{str(path)!r} is not a path ({error}).") from None


def recognise(head: bytes, *, text: bool) -> str | None:
    """What a file is that begins with ``head``, if it is surely not Caffe's; with its article.

    ``text`` says whether a text message was expected, or a binary one.
    """
    for signature, words in _SIGNATURES:
        if head.startswith(signature) or (signature == b"ustar" and head[257:262] == signature):
            return words
    if text:
        return "a binary file" if b"\0" in head or _is_binary_message(head) else None
    return "a text file" if _is_text(head) else None


def _is_binary_message(head: bytes) -> bool:
    """Whether ``head`` has control characters that no text has, outside strings or inside."""
    return re.search(rb"[\x01-\x08\x0e-\x1f]", head) is not None


def _is_text(head: bytes) -> bool:
    return not _is_binary_message(head) and b"\0" not in head and _FIELD.search(head) is not None


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of ``path`` when the block ends without an error.

    Until then it lies beside ``path`` under another name, so that no half-written file is ever
    seen under its own. Raises InputError if it cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path} cannot be written ({reason}).") from None
    finally:
        temporary.unlink(missing_ok=True)
