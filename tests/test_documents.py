"""What the documents show is what happens: their commands and code are run, their links exist."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import torchcaffe
from goturn.cli import main as goturn_main
from torchcaffe.cli import main as torchcaffe_main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {"torchcaffe": torchcaffe_main, "goturn": goturn_main}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN_HERE = ("make ", "scripts/", "pip ", "git ", "torchrun ")
"""Commands that the other tests or CI itself run, or that need what a test must not."""


def blocks(kind: str) -> Iterator[object]:
    for page in PAGES:
        for index, found in enumerate(FENCE.finditer(page.read_text())):
            if found[1] == kind:
                yield pytest.param(found[2], id=f"{page.name}-{index}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the examples in it."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sessions(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, continued lines joined, with the output shown for it."""
    command, output = "", []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, output
            command, output = line[2:], []
        elif command.endswith("\\"):
            command = command[:-1] + line.strip()
        else:
            output.append(line)
    if command:
        yield command, output


def matches(shown: list[str], printed: list[str]) -> bool:
    """Whether the words are the same, however the lines are broken; "..." stands for any words."""
    pattern = re.escape(" ".join(" ".join(shown).split())).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, " ".join(" ".join(printed).split())) is not None


@pytest.mark.parametrize("text", list(blocks("console")))
def test_sessions(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = 0
    for command, shown in sessions(text):
        if command.startswith(NOT_RUN_HERE):
            continue
        program, *arguments = shlex.split(command, comments=True)
        assert program in PROGRAMS, f"only {' and '.join(PROGRAMS)} can be run here, not {command}"
        try:
            PROGRAMS[program](arguments)
        except SystemExit as stop:
            # What is shown of a diagnosis is one that finds something.
            status = 1 if arguments[0] == "diagnose" else 0
            assert (stop.code or 0) == status, f"{command}: {capsys.readouterr().err}"
        printed = capsys.readouterr().out.splitlines()
        ran += 1
        if shown:
            assert matches(shown, printed), f"{command} prints:\n" + "\n".join(printed)
    assert ran or all(command.startswith(NOT_RUN_HERE) for command, _ in sessions(text))


@pytest.mark.parametrize("text", list(blocks("python")))
def test_code(text: str, folder: Path) -> None:
    exec(compile(text, "document", "exec"), {"__name__": "document"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_readme_is_short_and_the_version_has_a_changelog() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## Unreleased" in changelog or f"## {torchcaffe.__version__}" in changelog


def test_public_names() -> None:
    """What people may rely on; a change here is a change for them."""
    assert sorted(torchcaffe.__all__) == [
        "CaffeError",
        "CaffeNet",
        "Solver",
        "__version__",
        "diagnose",
        "load",
        "optim",
        "register_layer",
        "save_weights",
    ]
    assert all(hasattr(torchcaffe, name) for name in torchcaffe.__all__)
