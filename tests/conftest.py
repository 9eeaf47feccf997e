"""One place for what must not vary between runs of the tests."""

import sys
from collections.abc import Iterator

import pytest
import torch

from torchcaffe.register import OWN, forget_layer

pytest.register_assert_rewrite("contract", "assertions")


@pytest.fixture(autouse=True, scope="session")
def _pinned_arithmetic() -> None:
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


@pytest.fixture(autouse=True)
def _own_layers_forgotten() -> Iterator[None]:
    """Layer types that a test registers, and the files they stand in, are gone after it."""
    names, modules, path = set(OWN), set(sys.modules), list(sys.path)
    yield
    for name in set(OWN) - names:
        home = OWN[name].origin.partition(".")[0]
        forget_layer(name)
        if home not in modules:
            sys.modules.pop(home, None)
    sys.path[:] = path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each inherited contract test once a case (or refusal) of its class."""
    for fixture, table in (("case", "cases"), ("refusal", "refusals")):
        values = getattr(metafunc.cls, table, None)
        if fixture in metafunc.fixturenames and isinstance(values, dict):
            metafunc.parametrize(fixture, list(values.values()), ids=list(values))
