"""``goturn evaluate`` as a person meets it, with the narrow net that the original trained."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import goturn_pretend as pretend
from golden_cases import golden_root
from goturn.cli import main
from goturn.cli.evaluate import USUAL
from goturn.data import data_sets
from goturn.evaluate import PROTOCOLS

GOLDENS = golden_root() / "goturn"
WEIGHTS = GOLDENS / "small" / "tracker_iter_400.caffemodel"
ALOV = GOLDENS / "dataset" / "alov"
ALOV_DATA = f"alov={ALOV}/images,annotations={ALOV}/gt,part=validation"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run ``goturn evaluate`` in an empty folder: status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*args: str) -> tuple[int, str, str]:
        try:
            main(["evaluate", *args])
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        found = capsys.readouterr()
        return status, found.out, found.err

    return call


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two sequences of a person's own."""
    for seed, name in enumerate(("walk", "run")):
        pretend.write_frames(tmp_path / "own" / name / "images", 12)
        lines = map(pretend.box_line, pretend.boxes(12, seed))
        (tmp_path / "own" / name / "boxes.txt").write_text("\n".join(lines))
    return tmp_path / "own"


def write_results(folder: Path, names: tuple[str, ...] = ("run", "walk")) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}_001.txt").write_text("20,20,12,12\n" * 12)
    return folder


@pytest.mark.golden
class TestGoturn:
    @pytest.fixture(autouse=True)
    def _goldens(self) -> None:
        assert WEIGHTS.is_file(), f"{WEIGHTS} does not exist"

    def test_the_boxes_are_the_originals(self, run: Run) -> None:
        status, out, _ = run(
            "--data", ALOV_DATA, "--weights", str(WEIGHTS), "out/goturn", "--quiet"
        )
        assert status == 0
        assert "OTB, one pass (2 sequences)" in out
        assert "Follows: got10k toolkit 0.1.3, ExperimentOTB" in out
        for path in sorted((GOLDENS / "small" / "track_val").iterdir()):
            theirs = np.loadtxt(path)
            ours = np.loadtxt(f"out/goturn/{path.stem}/{path.stem}_001.txt", delimiter=",")
            assert np.abs(ours[theirs[:, 0].astype(int) - 1] - theirs[:, 1:]).max() < 0.01

    def test_every_protocol_and_resumed(self, run: Run) -> None:
        every = [word for name in PROTOCOLS for word in ("--protocol", name)]
        arguments = ["--data", ALOV_DATA, "--weights", str(WEIGHTS), "--json", *every, "a"]
        status, out, err = run(*arguments)
        assert (status, err) == (0, "")
        reports = json.loads(out)["reports"]
        assert [report["protocol"] for report in reports] == list(PROTOCOLS)
        before = {path: path.stat().st_mtime_ns for path in Path("a").rglob("*_*.txt")}
        assert len(before) == 8
        assert run(*arguments)[:2] == (0, out)
        assert {path: path.stat().st_mtime_ns for path in before} == before

    def test_two_processes(self, run: Run) -> None:
        arguments = ["--data", ALOV_DATA, "--weights", str(WEIGHTS), "--quiet"]
        assert run(*arguments, "one")[0] == run(*arguments, "two", "--jobs", "2")[0] == 0
        for path in Path("one").rglob("*_001.txt"):
            assert path.read_text() == ("two" / path.relative_to("one")).read_text()

    def test_other_settings_want_another_folder(self, run: Run) -> None:
        arguments = ["--data", ALOV_DATA, "--weights", str(WEIGHTS), "--quiet"]
        assert run(*arguments, "a")[0] == 0
        status, _, err = run(*arguments, "a", "--precision", "bf16")
        assert status == 1
        assert 'precision is "float32" there and "bf16" now; choose another folder' in err

    def test_where_results_go_by_themselves(self, run: Run, data: Path) -> None:
        status, out, _ = run("--data", f"folder={data}", "--weights", str(WEIGHTS), "--quiet")
        assert status == 0
        assert Path("results/folder/tracker_iter_400/walk/walk_001.txt").is_file()
        assert "tracker_iter_400" in out


class TestReports:
    def test_several_folders_side_by_side(self, run: Run, data: Path, tmp_path: Path) -> None:
        folders = [str(write_results(tmp_path / name)) for name in ("one", "two")]
        status, out, err = run("--data", f"folder={data}", *folders, "--plots", "plots")
        assert (status, err) == (0, "")
        assert [line.split()[0] for line in out.splitlines() if line[2:5] in ("one", "two")] == [
            "one",
            "two",
        ]
        assert out.splitlines()[-2:] == ["plots/otb_success.png", "plots/otb_precision.png"]
        for number, words in PROTOCOLS["otb"].numbers.items():
            assert f"{number}: {words}." in out

    def test_a_protocol_without_curves_says_so(self, run: Run, data: Path, tmp_path: Path) -> None:
        for name in ("run", "walk"):
            path = tmp_path / "one" / "baseline" / name / f"{name}_001.txt"
            path.parent.mkdir(parents=True)
            path.write_text("1\n" + "20,20,12,12\n" * 11)
        arguments = ("--data", f"folder={data}", "--protocol", "vot2014", "--plots", "plots")
        status, out, _ = run(*arguments, str(tmp_path / "one"))
        assert status == 0
        assert "vot2014 has no curves to draw." in out

    def test_one_sequence_and_its_numbers(self, run: Run, data: Path, tmp_path: Path) -> None:
        folder = str(write_results(tmp_path / "one", ("walk",)))
        status, out, _ = run("--data", f"folder={data}", folder, "--only", "walk", "--per-sequence")
        assert status == 0
        assert "(1 sequence)" in out
        assert [line.split()[0] for line in out.splitlines() if "walk" in line] == ["walk"]

    def test_refusals(self, run: Run, data: Path, tmp_path: Path) -> None:
        folder = str(write_results(tmp_path / "one"))
        text = f"folder={data}"
        cases = [
            ((text,), 2, "give --weights to run a tracker, or folders of result files"),
            ((text, folder, "--protocol", "vot2015"), 1, 'no protocol "vot2015". Did you mean "v'),
            ((text, folder, "--only", "wolk"), 1, 'no sequence "wolk". Did you mean "walk"?'),
            ((f"otbb={data}", folder), 1, 'there is no data set "otbb". Did you mean "otb"?'),
            ((text, "gone"), 1, "the tracker was not run on run"),
            ((text, "--weights", "gone.caffemodel"), 1, "gone.caffemodel: No such file"),
        ]
        for arguments, expected, words in cases:
            status, out, err = run("--data", *arguments)
            assert (status, out) == (expected, "")
            assert words in err


def test_the_usual_protocols_exist() -> None:
    assert set(USUAL) <= set(data_sets())
    assert set(USUAL.values()) <= set(PROTOCOLS)
