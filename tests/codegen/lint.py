"""Printed source is judged as source."""

import subprocess
import sys
from pathlib import Path

RULES = "E,F,W,I,UP,B"


def assert_clean(folder: Path, rules: str = RULES) -> None:
    """``ruff check`` and ``ruff format --check`` find nothing in the folder's files."""
    common = ["--isolated", "--no-cache", "--line-length", "100"]
    for command in (
        ["check", "--select", rules, "--output-format", "concise"],
        ["format", "--diff"],
    ):
        answer = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *common, str(folder)],
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
