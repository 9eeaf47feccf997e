"""A port's forward pass and its training together, from files and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diagnosis.training.ports import FIXED, KITS, LENET, SGD, port
from torchcaffe.cli import main
from torchcaffe.diagnosis import diagnose
from torchcaffe.errors import InputError

KIT = KITS["lenet"]

DATA = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 12 mirror: true }
  data_param { source: "nowhere_lmdb" batch_size: 10 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 12 }
  data_param { source: "nowhere_lmdb" batch_size: 5 backend: LMDB } }
"""

PORT = """
import sys
sys.path.insert(0, {tests!r})
from diagnosis.training.ports import KITS, port

build = port(KITS["lenet"], bias_rate={rate})
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(LENET)
    (tmp_path / "solver.prototxt").write_text(f'net: "net.prototxt" {FIXED} {SGD}')
    return tmp_path


def test_both_halves(folder: Path) -> None:
    def sigmoid(model: object) -> None:
        model.hidden.register_forward_hook(lambda *args: 2 * args[2])  # type: ignore[attr-defined]

    found = diagnose(port(KIT, bias_rate=0.5), solver="solver.prototxt", iterations=2)
    assert [c.identifier for c in found.causes if not c.harmless] == ["lr-multiplier"]
    assert "losses and gradients, over batches and updates" in found.covered
    found = diagnose(port(KIT, bias_rate=0.5, edit=sigmoid), solver="solver.prototxt")
    assert "lr-multiplier" in found.identifiers
    assert len(found.unexplained) + len(found.identifiers) > 2
    assert any("gradients differ as well" in note for note in found.notes)


def test_a_data_layer_whose_source_is_elsewhere(folder: Path) -> None:
    start = LENET.index('layer { name: "conv1"')
    (folder / "net.prototxt").write_text(DATA + LENET[start:])
    found = diagnose(port(KIT), solver="solver.prototxt", iterations=2)
    assert found.passed, found.verdict


def test_refusals(folder: Path) -> None:
    with pytest.raises(InputError, match="give the net by its prototxt, and no recording"):
        diagnose(port(KIT), solver="solver.prototxt", inputs={"data": 1})

    def broken() -> None:
        raise RuntimeError("my data is not here")

    with pytest.raises(InputError, match=r"raises while it is built:\n(.|\n)*my data is not here"):
        diagnose(broken, solver="solver.prototxt")


def run(arguments: list[str]) -> int | str | None:
    try:
        main(arguments)
    except SystemExit as stop:
        return stop.code
    return 0


def test_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tests = str(Path(__file__).parents[2])
    (folder / "worse.py").write_text(PORT.format(tests=tests, rate=0.5))
    (folder / "right.py").write_text(PORT.format(tests=tests, rate=1.0))
    assert run(["diagnose", "worse.py:build", "--training"]) == 2
    assert "--training and --solver PROTOTXT are given together" in capsys.readouterr().err
    common = ["--training", "--solver", "solver.prototxt", "--iterations", "2"]
    assert run(["diagnose", "worse.py:build", *common, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["causes"][0]["identifier"] == "lr-multiplier"
    assert run(["diagnose", "right.py:build", *common]) == 0
    out = capsys.readouterr().out
    assert "no defect: random-stream" in out and "No difference was found." in out
