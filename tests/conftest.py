"""One place for what must not vary between runs of the tests."""

import pytest
import torch

pytest.register_assert_rewrite("contract", "assertions")


@pytest.fixture(autouse=True, scope="session")
def _pinned_arithmetic() -> None:
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each inherited contract test once a case (or refusal) of its class."""
    for fixture, table in (("case", "cases"), ("refusal", "refusals")):
        values = getattr(metafunc.cls, table, None)
        if fixture in metafunc.fixturenames and isinstance(values, dict):
            metafunc.parametrize(fixture, list(values.values()), ids=list(values))
