"""``goturn draw_data``: a small data set drawn by a program, to try training with."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--videos", default=60, show_default=True, help="How many videos to draw.")
@click.option("--stills", default=120, show_default=True, help="How many stills to draw.")
@click.option("--seed", default=1, show_default=True, help="The same seed draws the same.")
def command(folder: Path, videos: int, stills: int, seed: int) -> None:
    """Draw videos and stills into FOLDER, laid out as ALOV300++ and ImageNet DET.

    There is one textured object in each video, and boxes are exact; "goturn train" reads them as it
    reads the real data sets.

    \b
    Example:
      goturn draw_data drawn
    """
    from goturn.data import procedural
    from goturn.data._layouts import write_alov, write_imagenet_det

    write_alov(folder / "alov", procedural.videos(videos, seed))
    write_imagenet_det(folder / "imagenet", procedural.stills(stills, seed))
    click.echo(f"{videos} videos in {folder / 'alov'}, {stills} stills in {folder / 'imagenet'}")
    click.echo(
        f"goturn train --alov {folder}/alov/images --alov-gt {folder}/alov/gt \\\n"
        f"    --imagenet {folder}/imagenet/images --imagenet-gt {folder}/imagenet/gt --init none"
    )
