from pathlib import Path

import pytest

from data_sources import write_all
from torchcaffe.cli import main
from torchcaffe.data import read_lmdb


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_all()


def test_convert_imageset(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--resize_height=3", "--resize_width", "4"]
    main(
        ["convert_imageset", "./", "list.txt", "new", "--gray", "--shuffle", "--seed", "1", *sizes]
    )
    assert capsys.readouterr().out == "new: 5 images\n"
    assert all(b"\x08\x01\x10\x03\x18\x04" in value for _, value in read_lmdb("new"))


def test_compute_image_mean(capsys: pytest.CaptureFixture[str]) -> None:
    main(["convert_imageset", "./", "list.txt", "new"])
    main(["compute_image_mean", "new", "new.binaryproto"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Number of channels: 3"
    assert lines[2].startswith("mean_value channel [0]: ") and len(lines) == 5
    assert Path("new.binaryproto").is_file()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["convert_imageset", "", "list.txt", "new", "--resize_width", "4"], "give both --resize"),
        (["convert_imageset", "", "list.txt", "new", "--backend", "leveldb"], 'takes "lmdb", got'),
        (["convert_imageset", "", "gone.txt", "new"], "gone.txt does not exist; a list of images"),
        (["compute_image_mean", "lmdb", "--backend", "leveldb"], "make an LMDB of it"),
        (["compute_image_mean", "gone"], "gone does not exist; an LMDB was expected there"),
    ],
)
def test_refusals(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 1
    assert words in capsys.readouterr().err
