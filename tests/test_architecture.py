"""The house keeps its shape: imports go one way, every layer has its contract, files stay small."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import LayerContract
from torchcaffe.layers._registry import layer_types

SOURCE = Path(__file__).parent.parent / "src" / "torchcaffe"
GOTURN = SOURCE.parent / "goturn"

ORDER = [
    ("errors",),
    ("proto", "random"),
    ("command_line",),
    ("fillers", "recording", "data"),
    ("layers",),
    ("graph", "need", "register"),
    ("build",),
    ("optimize", "overwrite", "parameters"),
    ("net",),
    ("weights", "parity", "inspection", "images"),
    ("codegen",),
    ("load", "convert"),
    ("solvers",),
    ("optim", "logs", "openblas"),
    ("diagnosis",),
    ("cli",),
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
TOP = {"__init__", "__main__"}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of every import of ours that runs (those for type checkers alone do not)."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "torchcaffe":
                names = [f"torchcaffe.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith("torchcaffe."):
                yield node.lineno, name.split(".")[1]


def test_every_room_has_a_place() -> None:
    rooms = {room_of(path) for path in SOURCE.rglob("*.py")} - TOP
    assert rooms == set(RANK)


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_imports_go_one_way(path: Path) -> None:
    room = room_of(path)
    if room in TOP:
        return
    wrong = [
        f"{path.name}:{line}: {room} imports {other}"
        for line, other in imports(path)
        if other in RANK and other != room and RANK[other] >= RANK[room]
    ]
    assert not wrong


def test_proto_knows_nothing_of_torch() -> None:
    for room in ("proto", "random"):
        for path in (SOURCE / room).rglob("*.py"):
            assert "import torch\n" not in path.read_text(), path


def test_goturn_stands_on_public_names_only() -> None:
    """It may import torchcaffe, and names of its packages, but no file inside a package."""
    packages = {"torchcaffe", "torchcaffe.command_line", "torchcaffe.optim"}
    packages |= {f"torchcaffe.{path.parent.name}" for path in SOURCE.glob("*/__init__.py")}
    wrong = []
    for path in GOTURN.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            wrong += [
                f"{path.name}:{node.lineno}: {name}"
                for name in names
                if name.startswith("torchcaffe") and name not in packages
            ]
    assert not wrong


def test_torchcaffe_knows_nothing_of_goturn() -> None:
    for path in SOURCE.rglob("*.py"):
        assert "import goturn" not in path.read_text(), path
        assert "from goturn" not in path.read_text(), path


def test_every_layer_has_a_contract() -> None:
    for path in sorted((Path(__file__).parent / "layers").glob("test_*.py")):
        importlib.import_module(f"layers.{path.stem}")
    owed = set(layer_types()) - {kind.caffe_type for kind in subclasses(LayerContract)}
    messages = [
        f'"{name}" ({layer_types()[name].plan.__module__}) has no contract: add a LayerContract '
        f'subclass with caffe_type = "{name}" to tests/layers'
        for name in sorted(owed)
    ]
    assert not messages


def subclasses(kind: type[LayerContract]) -> Iterator[type[LayerContract]]:
    for sub in kind.__subclasses__():
        if hasattr(sub, "caffe_type"):
            yield sub
        yield from subclasses(sub)


def test_no_file_grows_past_reading() -> None:
    long = {
        str(path): lines
        for path in SOURCE.parent.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 500
    }
    assert not long
