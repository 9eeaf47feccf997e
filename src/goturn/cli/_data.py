"""The options that say which data is trained with, and reading it."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from goturn.sequence import Sequence
    from goturn.still import Still

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@dataclass(frozen=True)
class TrainingData:
    """What the options named."""

    alov: Path | None
    alov_gt: Path | None
    imagenet: Path | None
    imagenet_gt: Path | None
    more: tuple[str, ...]
    exclude_vot2014: bool
    validation: float

    def stills(self, bad: Counter[str] | None = None) -> list[Still]:
        """The images with boxes; ``bad`` passes over what cannot be used, and counts it."""
        from goturn.data import imagenet_det

        folders = _together("--imagenet", self.imagenet, self.imagenet_gt)
        return [] if folders is None else imagenet_det.read(*folders, bad=bad)

    def videos(self, bad: Counter[str] | None = None) -> list[Sequence]:
        """The videos: ALOV's, where ``bad`` is as above, then those of other data sets."""
        from goturn.data import alov, read_named

        folders = _together("--alov", self.alov, self.alov_gt)
        videos: list[Sequence] = []
        if folders is not None:
            without = alov.IN_VOT2014 if self.exclude_vot2014 else ()
            videos = alov.read(*folders, validation=self.validation, without=without, bad=bad)
        return videos + [video for named in self.more for video in read_named(named)]


def _together(
    option: str, images: Path | None, annotations: Path | None
) -> tuple[Path, Path] | None:
    if images is None and annotations is None:
        return None
    if images is None or annotations is None:
        raise click.UsageError(f"{option} and {option}-gt belong together")
    return images, annotations


def data_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the data; the command gets them as one argument, ``data``."""

    @functools.wraps(function)
    def command(*args: Any, **options: Any) -> Any:
        names = TrainingData.__dataclass_fields__
        data = TrainingData(**{name: options.pop(name) for name in names})
        return function(*args, data=data, **options)

    for option in reversed(OPTIONS):
        command = option(command)
    return command


OPTIONS = (
    click.option("--alov", type=FOLDER, help="ALOV300++: the folder of videos."),
    click.option("--alov-gt", type=FOLDER, help="ALOV300++: the folder of annotations."),
    click.option("--imagenet", type=FOLDER, help="ImageNet DET: the folder of images."),
    click.option("--imagenet-gt", type=FOLDER, help="ImageNet DET: the folder of annotations."),
    click.option(
        "--data",
        "more",
        multiple=True,
        metavar="NAME=FOLDER",
        help="Videos of another data set, such as got10k=DIR; may be repeated.",
    ),
    click.option(
        "--exclude-vot2014", is_flag=True, help="Leave out ALOV's videos that VOT2014 has."
    ),
    click.option(
        "--validation",
        default=0.2,
        show_default=True,
        help="The part of ALOV's videos, of each category the last, that is not trained on.",
    ),
)
