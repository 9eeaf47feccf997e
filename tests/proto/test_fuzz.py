"""A short run of the fuzzer."""

import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parents[1] / "fuzz.py"


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(FUZZ), "--cases", "500", "--seed", "7", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "500 files, seed 7: 0 failed" in done.stdout
