"""goturn in other people's tools, with the tools themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import write_frames
from narrow import narrow_weights
from PIL import Image

import goturn
from goturn import Network, Tracker
from goturn.adapters import vot
from goturn.errors import GoturnError
from goturn.sources import open_source

FIRST = (20.0, 16.0, 20.0, 20.0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return narrow_weights(tmp_path_factory.mktemp("narrow"))


def tracked(folder: Path, weights: Path) -> list[tuple[float, ...]]:
    """The boxes of ``goturn.Tracker`` in the frames after the first."""
    tracker = Tracker(weights)
    first, *others = (frame.image for frame in open_source(str(folder)))
    tracker.init(first, FIRST)
    boxes = []
    for image in others:
        tracker.update(image)
        boxes.append(tracker.box.ordered().to_xywh())
    return boxes


def test_the_got10k_toolkit_runs_it(tmp_path: Path, weights: Path) -> None:
    """By the toolkit's own loop: it opens the images with PIL, as RGB."""
    from got10k.trackers import Tracker as Toolkit

    from goturn.adapters.got10k import GoturnTracker

    folder = write_frames(tmp_path / "frames", 5)
    tracker = GoturnTracker(Network.load(weights))
    assert isinstance(tracker, Toolkit)
    assert (tracker.name, tracker.is_deterministic) == ("GOTURN", True)
    given = np.array(FIRST)
    files = [str(folder / f"{number}.png") for number in range(1, 6)]
    boxes, _ = tracker.track(files, given)
    np.testing.assert_array_equal(boxes[0], FIRST)
    np.testing.assert_array_equal(boxes[1:], tracked(folder, weights))
    np.testing.assert_array_equal(given, FIRST)


def test_the_got10k_adapter_takes_grey_images(tmp_path: Path, weights: Path) -> None:
    from goturn.adapters.got10k import GoturnTracker

    grey = Image.fromarray(np.full((72, 96), 90, np.uint8))
    tracker = GoturnTracker(weights, name="mine")
    tracker.init(grey, FIRST)
    assert tracker.update(grey).shape == (4,) and tracker.name == "mine"


def test_without_the_got10k_toolkit_the_words_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "got10k.trackers", None)
    monkeypatch.delitem(sys.modules, "goturn.adapters.got10k", raising=False)
    with pytest.raises(GoturnError, match="needs the toolkit: pip install got10k"):
        import goturn.adapters.got10k  # noqa: F401


CLIENT = """
import json, subprocess, sys
from trax.client import Client
from trax.image import FileImage
from trax.region import Rectangle

weights, first, *files = sys.argv[1:]
command = [sys.executable, "-m", "goturn.adapters.vot", "--weights", weights]
process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
pipes = process.stdin.fileno(), process.stdout.fileno()
client = Client(stream=pipes, log=lambda _: None)
images = [{"color": FileImage.create(file)} for file in files]
box = Rectangle.create(*json.loads(first))
found = []
for _ in range(2):
    answers = [client.initialize(images[0], [(box, {})], {})]
    answers += [client.frame(image, {}, []) for image in images[1:]]
    found.append([objects[0][0].bounds() for objects, _ in answers])
client.quit()
found = {"boxes": found, "name": client.tracker_name, "status": process.wait(30)}
print(json.dumps(found))
"""


def test_a_trax_client_is_answered_by_a_process(tmp_path: Path, weights: Path) -> None:
    """As the vot-toolkit does it: two sequences, the second on the same process."""
    pytest.importorskip("trax", reason="vot-trax is not installed")
    folder = write_frames(tmp_path / "frames", 4)
    files = [folder / f"{number}.png" for number in range(1, 5)]
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, weights, json.dumps(FIRST), *files],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(goturn.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["name"], answer["status"]) == ("GOTURN", 0)
    expected = [FIRST, *tracked(folder, weights)]
    for boxes in answer["boxes"]:
        # TraX carries numbers as text with four digits behind the point.
        np.testing.assert_allclose(boxes, expected, atol=1e-3)


def test_without_trax_the_words_say_what_to_install(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trax", None)
    with pytest.raises(GoturnError, match=r"goturn.adapters.vot needs TraX: pip install vot-trax"):
        vot.serve(Tracker(weights))


def test_goturn_itself_imports_neither_toolkit() -> None:
    """The vot-toolkit is under the GPL; the other is optional."""
    root = Path(vot.__file__).parents[1]
    for path in root.rglob("*.py"):
        text = path.read_text()
        assert "import vot\n" not in text and "from vot" not in text, path
        assert "from got10k" not in text or path.parent.name == "adapters", path
