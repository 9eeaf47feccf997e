"""The port that the first question described: what its author saw, and what nobody could see."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from torchcaffe.diagnosis import diagnose

EXAMPLE = Path(__file__).parents[3] / "examples" / "diagnose" / "goturn_port"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs the diagnosis of the narrow port, by arguments of dump.py and of diagnose."""
    monkeypatch.chdir(tmp_path)

    def run(*dump: str, name: str = "port", **options: Any) -> Any:
        module("dump").main([".", "--width", "16", *dump])
        monkeypatch.setenv("GOTURN_DUMP", "goturn_dump.npz")
        module("port")
        return diagnose(module(name).build, solver="solver.prototxt", iterations=2, **options)

    yield run
    for name in ("dump", "port", "against_original"):
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_what_its_author_could_not_see(narrow: Any) -> None:
    found = narrow(name="against_original")
    wrong = {cause.identifier: cause for cause in found.causes if not cause.harmless}
    assert set(wrong) == {"schedule-unit", "batch-size"}
    assert not found.unexplained
    rates = wrong["schedule-unit"].evidence["rates"]
    assert [row[0] for row in rates[:3]] == [0, 6350, 12700]
    assert [row[1] for row in rates[:3]] == pytest.approx([1e-6, 1e-7, 1e-8])
    assert [row[2] for row in rates[:3]] == pytest.approx([1e-6] * 3)
    assert wrong["batch-size"].evidence["factors"] == {"abssum": 0.88}
    assert "0.88 of Caffe's" in wrong["batch-size"].code
    together = [note for note in found.notes if "losses and weights stay together" in note]
    assert len(together) == 2  # dropout off, and with Caffe's masks
    harmless = [cause for cause in found.causes if cause.harmless]
    assert [cause.identifier for cause in harmless] == ["random-stream"] * 3
    assert "as random as before" in harmless[1].caffe


@pytest.mark.slow
def test_a_dump_whose_shapes_matter(narrow: Any) -> None:
    found = narrow("--transposed", weights="goturn.caffemodel")
    assert {"weight-reshape", "schedule-unit", "batch-size"} <= set(found.identifiers)
    assert not found.unexplained
