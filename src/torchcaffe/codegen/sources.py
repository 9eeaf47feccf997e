"""What a printed module has above its classes: imports, and source taken from the layer files.

torch's names are imported; functions and classes of layer files are copied into the module with
all that they use, so that it does without torchcaffe. What cannot be copied is imported: layers of
a person's own, and the few of Caffe's that draw from its fillers or run a person's Python.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import symtable
import sys
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

from torchcaffe.errors import ConversionError

LAYERS = "torchcaffe.layers."
PYTHON_LAYER = "torchcaffe.layers.python.PythonLayer"
"""The one class that is imported: what it runs is a person's own file, which is imported too."""


class Sources:
    """Collects imports and copied source; ``name`` gives what a dotted path is called.

    ``rounded`` holds the numbers printed that are float32's form of a shorter one.
    """

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.members: dict[str, set[str]] = {}
        self.copied: dict[str, str] = {}
        self.rounded: dict[str, str] = {}
        self._origin: dict[str, str] = {}

    @property
    def names(self) -> set[str]:
        """Every name that the module has at its top so far."""
        members = {member.rpartition(" ")[2] for found in self.members.values() for member in found}
        return {path.partition(".")[0] for path in self.imports} | members | set(self.copied)

    def name(self, target: str) -> str:
        """How the object at a dotted path is written, with whatever that needs noted down."""
        path, _, name = target.rpartition(".")
        if target.startswith(LAYERS) and target != PYTHON_LAYER:
            home = importlib.import_module(path)
            if _stands_alone(home, name):
                self.copy(home, name)
                return name
        if path == "builtins":
            return name
        if path == "torch.nn":
            self.member("torch", "nn")
            return f"nn.{name}"
        if path == "torch.nn.functional":
            self.member("torch.nn", "functional")
            return f"functional.{name}"
        if path.partition(".")[0] in ("torch", "math"):
            self.imports.add(path.partition(".")[0])
            return target
        if path == "__main__":
            raise ConversionError(
                f"the class {name} stands in the script that runs now (__main__), where the "
                f"printed module cannot import it from; put it into a file of its own"
            )
        self._claim(name, target)
        self.member(path, name)
        return name

    @property
    def packages(self) -> list[str]:
        """What the module needs beside torch and Python itself, sorted."""
        roots = {path.partition(".")[0] for path in (*self.imports, *self.members)}
        return sorted(root for root in roots if root != "torch" and not _is_stdlib(root))

    def member(self, module: str, name: str) -> None:
        """Note ``from module import name``."""
        self.members.setdefault(module, set()).add(name)

    def copy(self, module: ModuleType, name: str) -> None:
        """Copy a function, class or constant of a layer file, after all that it uses."""
        self._claim(name, f"{module.__name__}.{name}")
        if name in self.copied:
            return
        value = getattr(module, name)
        if isinstance(value, (type, FunctionType)):
            source = inspect.getsource(value)
        else:
            source = _assignment(module, name)
        self.copied[name] = ""  # what uses itself is not copied again
        for used in _names_used(source):
            if used != name and used in vars(module):
                self._use(module, used)
        del self.copied[name]
        self.copied[name] = source.rstrip()

    def _use(self, module: ModuleType, name: str) -> None:
        value = getattr(module, name)
        home = getattr(value, "__module__", None)
        if isinstance(value, (type, FunctionType)) and str(home).startswith(LAYERS):
            self.copy(sys.modules[value.__module__], value.__name__)
            return
        found = _imported(module, name)
        if found is None:
            self.copy(module, name)
        elif found[1] is None:
            self.imports.add(found[0])
        elif found[0].startswith(LAYERS):
            self.copy(sys.modules[found[0]], found[1])
        else:
            self.member(found[0], found[1] if found[1] == name else f"{found[1]} as {name}")

    def _claim(self, name: str, origin: str) -> None:
        other = self._origin.setdefault(name, origin)
        if other != origin:
            raise ConversionError(
                f'"{name}" would mean {other} and {origin} in one module; rename one of them'
            )

    def header(self) -> list[str]:
        """The import statements, sorted as isort sorts them."""
        roots: dict[bool, list[str]] = {True: [], False: []}
        for path in sorted(self.imports):
            roots[_is_stdlib(path)].append(f"import {path}")
        for module in sorted(self.members):
            listed = ", ".join(sorted(self.members[module], key=_member_order))
            roots[_is_stdlib(module)].append(f"from {module} import {listed}")
        between = [""] if roots[True] and roots[False] else []
        return [*roots[True], *between, *roots[False]]


def _stands_alone(module: ModuleType, name: str, seen: set[Any] | None = None) -> bool:
    """Whether the source of a name in a layer file needs nothing of torchcaffe but layer files."""
    seen = set() if seen is None else seen
    value = vars(module)[name]
    if isinstance(value, ModuleType) or (module, name) in seen:
        return not str(getattr(value, "__name__", "")).startswith("torchcaffe")
    seen.add((module, name))
    home = str(getattr(value, "__module__", module.__name__))
    if home != module.__name__ and isinstance(value, (type, FunctionType)):
        if not home.startswith("torchcaffe"):
            return True
        if not home.startswith(LAYERS):
            return False
        return _stands_alone(sys.modules[home], value.__name__, seen)
    if not isinstance(value, (type, FunctionType)):
        found = _imported(module, name)
        return found is None or not found[0].startswith("torchcaffe")
    used = _names_used(inspect.getsource(value))
    return all(_stands_alone(module, part, seen) for part in used if part in vars(module))


def _is_stdlib(path: str) -> bool:
    return path.partition(".")[0] in sys.stdlib_module_names


def _member_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as isort orders the members of an import."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name


def _names_used(source: str) -> list[str]:
    """Every name that the source reads from the module around it, sorted."""
    found: set[str] = set()
    scopes = [symtable.symtable(source, "<layer>", "exec")]
    while scopes:
        scope = scopes.pop()
        scopes += scope.get_children()
        top = scope.get_type() == "module"
        found |= {
            symbol.get_name()
            for symbol in scope.get_symbols()
            if symbol.is_referenced() and (top or symbol.is_global())
        }
    return sorted(found)


@cache
def _module_statements(module: ModuleType) -> tuple[str, list[ast.stmt]]:
    source = inspect.getsource(module)
    return source, ast.parse(source).body


def _assignment(module: ModuleType, name: str) -> str:
    """The statement that gives a constant of ``module`` its value."""
    source, statements = _module_statements(module)
    for statement in statements:
        targets: list[Any] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return ast.get_source_segment(source, statement) or ""
    raise ConversionError(f"{module.__name__}.{name} has no source that could be copied")


def _imported(module: ModuleType, name: str) -> tuple[str, str | None] | None:
    """(module, member) of the import that binds ``name``; the member is None for a module."""
    for statement in _module_statements(module)[1]:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if (alias.asname or alias.name.partition(".")[0]) == name:
                    return alias.name, None
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    return str(statement.module), alias.name
    return None
