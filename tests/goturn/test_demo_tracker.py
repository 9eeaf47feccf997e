"""The tracker that ends the demo works, and its files stay small."""

from pathlib import Path

from script_files import ROOT, script


def test_the_narrow_goturn_follows_the_star(tmp_path: Path) -> None:
    tracked, still = script("demo_tracker").follow_star(tmp_path)
    assert tracked > 0.6 and still < 0.1
    for name in ("tracker.mp4", "tracker.png", "tracker.csv"):
        assert (tmp_path / name).stat().st_size > 1000


def test_what_is_committed_is_small() -> None:
    example = ROOT / "examples" / "goturn"
    assert (example / "narrow.safetensors").stat().st_size < 5e6
    assert (example / "clip.mp4").stat().st_size < 500e3
