"""The recordings are found, wherever they lie."""

from pathlib import Path

import numpy as np
import pytest

from golden_cases import OWN, golden_root, recordings


def test_the_tests_bring_their_own_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHCAFFE_GOLDENS", raising=False)
    assert golden_root() == OWN
    with np.load(OWN / "fillers" / "fillers.npz") as answers:
        answered = {key.split("/")[0] for key in answers}
    assert {case.id for case in recordings("fillers", "*.prototxt")} == answered
    assert "adam" in [case.id for case in recordings("solvers", "*/solver.prototxt")]


def test_another_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "fillers").mkdir()
    for name in ("b", "a"):
        (tmp_path / "fillers" / f"{name}.prototxt").touch()
    monkeypatch.setenv("TORCHCAFFE_GOLDENS", str(tmp_path))
    found = recordings("fillers", "*.prototxt")
    assert [case.id for case in found] == ["a", "b"]
    assert found[0].values == (tmp_path / "fillers" / "a.prototxt",)


def test_a_kind_that_was_not_recorded_has_no_cases(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCHCAFFE_GOLDENS", str(tmp_path))
    assert recordings("fillers", "*.prototxt") == []


def test_a_root_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCHCAFFE_GOLDENS", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"nowhere, which is not a folder"):
        golden_root()
