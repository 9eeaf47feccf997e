"""The numbers of the got10k toolkit 0.1.3, driven on tiny data sets, are ours.

The toolkit needs help: its VOT experiment names ``np.NaN``, which NumPy 2 does not have, and mixes
arrays of one overlap with numbers, which NumPy has refused since 1.24; it downloads OTB and VOT
unless told otherwise in a place that the experiments do not reach; it leaves images open; and its
reports draw curves.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import goturn_pretend as pretend
from goturn.data import read_data_set
from goturn.evaluate import PROTOCOLS, report, run

experiments = pytest.importorskip("got10k.experiments")
from got10k.datasets import OTB, VOT  # noqa: E402
from got10k.experiments import vot as theirs_vot  # noqa: E402
from got10k.trackers import Tracker as TheirTracker  # noqa: E402
from got10k.utils.metrics import poly_iou  # noqa: E402

LENGTHS = {"Bolt": 37, "Coke": 24, "Jogging": 30}


@pytest.fixture(autouse=True)
def _helped(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {2013: list(LENGTHS)}
    monkeypatch.setattr(OTB, "_OTB__version_dict", versions)
    monkeypatch.setattr(VOT, "_download", lambda *_: None)
    monkeypatch.setattr(np, "NaN", np.nan, raising=False)
    monkeypatch.setattr(Image, "open", read_and_closed)
    monkeypatch.setattr(theirs_vot, "poly_iou", one_overlap)
    for name in ("OTB", "GOT10k"):
        experiment = getattr(experiments, f"Experiment{name}")
        monkeypatch.setattr(experiment, "plot_curves", lambda *_: None)


OPEN = Image.open


def read_and_closed(path: str) -> Image.Image:
    with OPEN(path) as image:
        return image.convert("RGB")


def one_overlap(*args: Any, **kwargs: Any) -> float:
    (overlap,) = poly_iou(*args, **kwargs)
    return float(overlap)


class Theirs(TheirTracker):
    """Our pretended tracker behind the toolkit's interface."""

    def __init__(self) -> None:
        super().__init__("drift", is_deterministic=True)
        self.ours = pretend.Drift()

    def init(self, image: Image.Image, box: Any) -> None:
        self.ours.init(np.asarray(image), box)

    def update(self, image: Image.Image) -> Any:
        return np.array(self.ours.update(np.asarray(image))[1])


def quietly(call: Any, *args: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return call(*args)


def test_otb(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for seed, (name, count) in enumerate(LENGTHS.items()):
        pretend.write_frames(data / name / "img", count)
        for target in (1, 2) if name == "Jogging" else (0,):
            suffix = f".{target}" if target else ""
            lines = map(pretend.box_line, pretend.boxes(count, 10 * seed + target))
            (data / name / f"groundtruth_rect{suffix}.txt").write_text("\n".join(lines))
    sequences = read_data_set("otb", data)
    list(run(pretend.Drift, sequences, tmp_path / "ours" / "drift"))
    ours = report(sequences, [tmp_path / "ours" / "drift"], PROTOCOLS["otb"]).to_json()

    places = (str(data), 2013, str(tmp_path / "results"), str(tmp_path / "reports"))
    experiment = quietly(experiments.ExperimentOTB, *places)
    quietly(experiment.run, Theirs())
    theirs = quietly(experiment.report, ["drift"])["drift"]

    found = ours["trackers"]["drift"]
    assert list(found["sequences"]) == list(theirs["seq_wise"])
    for name, numbers in {"": theirs["overall"], **theirs["seq_wise"]}.items():
        mine = found["sequences"][name] if name else found["overall"]
        assert mine["auc"] == pytest.approx(numbers["success_score"], abs=1e-12)
        assert mine["precision"] == pytest.approx(numbers["precision_score"], abs=1e-12)
        assert mine["success_rate"] == pytest.approx(numbers["success_rate"], abs=1e-12)
    assert 0.1 < found["overall"]["auc"] < 0.8
    curves = found["curves"]
    assert np.allclose(curves["success"]["values"], theirs["overall"]["success_curve"], atol=1e-12)
    assert np.allclose(
        curves["precision"]["values"], theirs["overall"]["precision_curve"], atol=1e-12
    )
    # The toolkit's own files, which it lays out otherwise, give the same numbers.
    again = report(sequences, [tmp_path / "results" / "OTB2013" / "drift"], PROTOCOLS["otb"])
    assert again.scores["drift"].overall == pytest.approx(ours_overall(ours), abs=1e-12)


def ours_overall(found: dict[str, Any]) -> dict[str, float]:
    overall = dict(found["trackers"]["drift"]["overall"])
    del overall["frames_per_second"]
    return overall


def test_got10k(tmp_path: Path) -> None:
    data = tmp_path / "data"
    names = [f"GOT-10k_Val_{number:06d}" for number in (1, 2, 3)]
    for seed, name in enumerate(names):
        folder, count = data / "val" / name, 20 + 7 * seed
        pretend.write_frames(folder, count, "{:08d}.jpg")
        lines = map(pretend.box_line, pretend.boxes(count, seed))
        (folder / "groundtruth.txt").write_text("\n".join(lines))
        size = f"({pretend.WIDTH}, {pretend.HEIGHT})"
        (folder / "meta_info.ini").write_text(f"[METAINFO]\nresolution: {size}\n")
        covers = np.random.default_rng(seed).integers(0, 3, count)
        for label, values in (("cover", covers), ("absence", covers == 0), ("cut_by_image", 0)):
            np.savetxt(folder / f"{label}.label", np.broadcast_to(values, count), fmt="%d")
    (data / "val" / "list.txt").write_text("\n".join(names))
    sequences = read_data_set("got10k", data, subset="val")
    results = tmp_path / "results" / "GOT-10k" / "drift"
    list(run(pretend.Drift, sequences, results))
    ours = report(sequences, [results], PROTOCOLS["got10k"]).to_json()["trackers"]["drift"]

    places = (str(data), "val", str(tmp_path / "results"), str(tmp_path / "reports"))
    experiment = quietly(experiments.ExperimentGOT10k, *places)
    theirs = quietly(experiment.report, ["drift"])["drift"]
    for name, numbers in {"": theirs["overall"], **theirs["seq_wise"]}.items():
        mine = ours["sequences"][name] if name else ours["overall"]
        assert mine["ao"] == pytest.approx(numbers["ao"], abs=1e-12)
        assert mine["sr_50"] == pytest.approx(numbers["sr"], abs=1e-12)
    success = ours["curves"]["success"]["values"]
    assert np.allclose(success, theirs["overall"]["succ_curve"], atol=1e-12)
    assert ours["overall"]["sr_75"] == pytest.approx(success[75])
    # From the same start the toolkit writes the same boxes as we do, to its three digits.
    (results / names[0] / f"{names[0]}_001.txt").rename(tmp_path / "ours.txt")
    quietly(experiment.run, Theirs())
    again = np.loadtxt(results / names[0] / f"{names[0]}_001.txt", delimiter=",")
    assert np.allclose(np.loadtxt(tmp_path / "ours.txt", delimiter=","), again, atol=6e-4)


@pytest.mark.parametrize("polygons", [False, True], ids=["rectangles", "polygons"])
def test_vot(tmp_path: Path, polygons: bool) -> None:
    data = tmp_path / "data"
    for seed, name in enumerate(("ball", "torus")):
        folder, count = data / name, 60 + 7 * seed
        pretend.write_frames(folder, count, "{:08d}.jpg")
        boxes = pretend.boxes(count, seed)
        lines = [polygon_line(box) if polygons else pretend.box_line(box) for box in boxes]
        (folder / "groundtruth.txt").write_text("\n".join(lines))
        # Without any tag the toolkit's report does not work.
        np.savetxt(folder / "occlusion.label", np.zeros(count), fmt="%d")
    (data / "list.txt").write_text("ball\ntorus")
    sequences = read_data_set("vot", data)
    results = tmp_path / "results" / "VOT2014" / "drift"
    list(run(pretend.Drift, sequences, results, kind="baseline", deterministic=True))
    ours = report(sequences, [results], PROTOCOLS["vot2014"]).scores["drift"]

    places = (str(data), 2014, True, "supervised", str(tmp_path / "results"), str(tmp_path / "r"))
    experiment = quietly(experiments.ExperimentVOT, *places)
    theirs = quietly(experiment.report, ["drift"])["drift"]
    assert ours.overall["accuracy"] == pytest.approx(theirs["accuracy"], abs=1e-9)
    assert ours.overall["failures"] == theirs["robustness"] > 0
    if not polygons:  # The toolkit starts at another box than the smallest around a polygon.
        files = [results / "baseline" / name / f"{name}_001.txt" for name in ("ball", "torus")]
        texts = [path.read_text().split() for path in files]
        for path in files:
            path.unlink()
        quietly(experiment.run_supervised, Theirs())
        assert [path.read_text().split() for path in files] == texts


def polygon_line(box: Any) -> str:
    """A box with its corners pushed around."""
    x1, y1, x2, y2 = box.to_corners()
    corners = [(x1 + 2, y1), (x2, y1 + 1), (x2 - 1, y2), (x1, y2 - 2)]
    return ",".join(f"{value:g}" for corner in corners for value in corner)
