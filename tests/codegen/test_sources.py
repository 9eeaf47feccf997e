import sys
from types import ModuleType

import pytest

from torchcaffe.codegen.sources import Sources
from torchcaffe.errors import ConversionError
from torchcaffe.layers._registry import layer_types

FIRST = '''
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as f

LIMIT = 3
unused = 4


def shared(x: Tensor) -> Tensor:
    """Used by others."""
    return x


class Thing(nn.Module):
    """Uses a constant, a function, imports, itself, and a local name like a global's."""

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Does something."""
        unused = f.relu(shared(x[LIMIT]))
        assert isinstance(self, Thing)
        return torch.add(unused, math.pi)
'''


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch, tmp_path) -> ModuleType:
    return make_module("first", FIRST, monkeypatch, tmp_path)


def make_module(name, source, monkeypatch, tmp_path) -> ModuleType:
    """A layer file that stands elsewhere."""
    path = tmp_path / f"{name}.py"
    path.write_text(source)
    module = ModuleType(f"torchcaffe.layers.{name}")
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def test_torch_is_imported_as_people_import_it() -> None:
    sources = Sources()
    assert sources.name("torch.nn.Conv2d") == "nn.Conv2d"
    assert sources.name("torch.nn.functional.relu") == "functional.relu"
    assert sources.name("torch.cat") == "torch.cat"
    assert sources.name("builtins.tuple") == "tuple"
    sources.member("torch", "Tensor")
    assert sources.header() == [
        "import torch",
        "from torch import Tensor, nn",
        "from torch.nn import functional",
    ]
    assert sources.packages == []


def test_a_layer_is_copied_with_all_that_it_uses(first: ModuleType) -> None:
    sources = Sources()
    assert sources.name("torchcaffe.layers.first.Thing") == "Thing"
    assert list(sources.copied) == ["LIMIT", "shared", "Thing"]
    assert sources.copied["LIMIT"] == "LIMIT = 3"
    assert sources.copied["shared"].startswith("def shared(x: Tensor) -> Tensor:\n")
    assert sources.header() == [
        "import math",
        "from collections.abc import Sequence",
        "",
        "import torch",
        "from torch import Tensor, nn",
        "from torch.nn import functional as f",
    ]
    assert {"LIMIT", "shared", "Thing", "f", "math", "torch"} <= sources.names
    again = dict(sources.copied)
    sources.name("torchcaffe.layers.first.Thing")
    assert sources.copied == again


def test_names_of_other_layer_files_are_followed(
    first: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    source = (
        "from torchcaffe.layers.first import shared\n\n\n"
        'def twice(x):\n    """Twice."""\n    return shared(x) + shared(x)\n'
    )
    make_module("second", source, monkeypatch, tmp_path)
    sources = Sources()
    sources.name("torchcaffe.layers.second.twice")
    assert list(sources.copied) == ["shared", "twice"]


def test_two_things_of_one_name_are_refused(
    first: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    make_module("third", "def shared(x):\n    return -x\n", monkeypatch, tmp_path)
    sources = Sources()
    sources.name("torchcaffe.layers.first.shared")
    with pytest.raises(ConversionError) as caught:
        sources.name("torchcaffe.layers.third.shared")
    assert str(caught.value) == (
        '"shared" would mean torchcaffe.layers.first.shared and torchcaffe.layers.third.shared in '
        "one module; rename one of them"
    )


def test_what_needs_the_rest_of_torchcaffe_is_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    source = (
        "from torchcaffe.random import Mersenne\n\n\n"
        'def draw(x):\n    """Numbers."""\n    return Mersenne(0)\n'
    )
    make_module("fourth", source, monkeypatch, tmp_path)
    sources = Sources()
    assert sources.name("torchcaffe.layers.fourth.draw") == "draw"
    assert not sources.copied
    assert sources.header() == ["from torchcaffe.layers.fourth import draw"]
    assert sources.packages == ["torchcaffe"]


def test_a_type_without_source_cannot_be_copied(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    module = make_module("fifth", "def f():\n    return made\n", monkeypatch, tmp_path)
    module.made = 3
    with pytest.raises(ConversionError, match=r"torchcaffe\.layers\.fifth\.made has no source"):
        Sources().name("torchcaffe.layers.fifth.f")


def test_no_two_layer_files_give_one_name_to_two_things() -> None:
    """Otherwise a net that uses both could not be printed."""
    files = {kind.plan.__module__ for kind in layer_types().values()}
    homes: dict[str, set[str]] = {}
    for file in files | {name for name in sys.modules if name.startswith("torchcaffe.layers._")}:
        for name, value in vars(sys.modules[file]).items():
            if getattr(value, "__module__", None) == file:
                homes.setdefault(name, set()).add(file)
    assert len(homes) > 50
    assert {name: sorted(found) for name, found in homes.items() if len(found) > 1} == {}
