"""``goturn show``: the data in pictures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goturn.cli._data import TrainingData, data_options
from goturn.errors import DataError

if TYPE_CHECKING:
    from goturn.batches import Groups

Decorated = Callable[..., Any]
Decorator = Callable[[Decorated], Decorated]


@click.group()
def command() -> None:
    """Draw the data: what the network sees, what is annotated, how boxes are shifted.

    \b
    Example:
      goturn show examples --data got10k=GOT-10k,subset=train -o examples.png
    """


def output_option(name: str) -> Decorator:
    """-o FILE, an image."""
    return click.option(
        "-o", "--output", default=name, show_default=True, help="The image to write."
    )


def sampling_options(function: Decorated) -> Decorated:
    """How examples are drawn, and how large."""
    for option in (
        click.option("--size", default=227, show_default=True, help="Pixels of a crop's side."),
        click.option("--replay", is_flag=True, help="The original's examples, in its order."),
        click.option("--seed", default=800, show_default=True, help="Of the examples."),
    ):
        function = option(function)
    return function


@command.command("examples")
@data_options
@sampling_options
@click.option("--groups", "count", default=8, show_default=True, help="Pairs to show.")
@output_option("examples.png")
def show_examples(
    data: TrainingData, seed: int, replay: bool, size: int, count: int, output: str
) -> None:
    """Training examples as the network sees them: target, search crops, labels.

    A row is what comes of one pair of frames, or of one image: the target, then the search crop
    around where the object was, then those around shifted boxes.

    \b
    Example:
      goturn show examples --data folder=my_videos -o examples.png
    """
    from goturn.show import examples_sheet

    groups = (group for group in _groups(data, seed, replay, size).start(0, None))
    usable = (group for group in groups if _told(group.bad) and len(group.labels))
    _write(output, examples_sheet(islice(usable, count), title="training examples"))


@command.command("batch")
@data_options
@sampling_options
@click.option("--number", default=0, show_default=True, help="Which batch, 0 for the first.")
@click.option("--batch", "count", default=50, show_default=True, help="Examples in a batch.")
@output_option("batch.png")
def show_batch(
    data: TrainingData, seed: int, replay: bool, size: int, number: int, count: int, output: str
) -> None:
    """A whole batch: each target beside its search crop with the label.

    \b
    Example:
      goturn show batch --data folder=my_videos --number 3 -o batch.png
    """
    from goturn.batches import Batches
    from goturn.show import batch_sheet

    batches = Batches(_groups(data, seed, replay, size), size=count)
    chosen = next(islice(batches, number, None))
    _write(output, batch_sheet(chosen, title=f"batch {number}"))


@command.command("annotations")
@data_options
@click.option("--rows", default=8, show_default=True, help="Videos to show, the first ones.")
@click.option("--columns", default=6, show_default=True, help="Frames of each.")
@output_option("annotations.png")
def show_annotations(data: TrainingData, rows: int, columns: int, output: str) -> None:
    """The annotations of videos, drawn on evenly spaced frames.

    \b
    Example:
      goturn show annotations --data otb=OTB100 -o otb.png
    """
    from goturn.show import annotations_sheet

    videos = _some(data.videos())
    title = f"{min(rows, len(videos))} of {len(videos)} videos"
    _write(output, annotations_sheet(videos, rows=rows, columns=columns, title=title))


@command.command("law")
@data_options
@click.option("--seed", default=800, show_default=True, help="Of the draws.")
@click.option("--draws", default=20000, show_default=True, help="How many.")
@output_option("law.png")
def show_law(data: TrainingData, seed: int, draws: int, output: str) -> None:
    """Histograms of how boxes are shifted for training, beside the theory.

    With data, also of how the objects in it move from one annotated frame to the next.

    \b
    Example:
      goturn show law --data got10k=GOT-10k,subset=train -o law.png
    """
    from goturn.motion import Motion
    from goturn.show import law_figure

    figure = law_figure(Motion(), seed=seed, draws=draws, sequences=data.videos())
    figure.savefig(output, dpi=150)
    click.echo(output)


def _groups(data: TrainingData, seed: int, replay: bool, size: int) -> Groups:
    from goturn.batches import NumberedGroups, ReplayedGroups
    from goturn.examples import original_recipe

    stills, videos = data.stills(), data.videos()
    recipe = original_recipe(stills, videos)
    return ReplayedGroups(recipe, size) if replay else NumberedGroups(recipe, size, seed)


def _told(bad: str | None) -> bool:
    """Whether a group's data can be used; what is wrong is told."""
    if bad is not None:
        click.echo(f"passed over: {bad}", err=True)
    return bad is None


def _some(videos: list[Any]) -> list[Any]:
    if not videos:
        raise click.UsageError("there is nothing to show: give --alov and --alov-gt, or --data")
    return videos


def _write(output: str, image: Any) -> None:
    import cv2

    from goturn.outputs import write_image

    if not cv2.haveImageWriter(output):
        raise DataError(f'-o takes an image such as sheet.png, got "{output}"')
    write_image(Path(output), image)
    click.echo(output)
