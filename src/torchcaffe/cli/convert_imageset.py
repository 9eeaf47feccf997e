"""``torchcaffe convert_imageset``: image files into an LMDB."""

from __future__ import annotations

import click

from torchcaffe.errors import InputError


@click.command()
@click.argument("root_folder")
@click.argument("list_file", type=click.Path())
@click.argument("database", type=click.Path())
@click.option("--gray/--nogray", help="Read the images as grey ones.")
@click.option("--shuffle/--noshuffle", help="Change the order of the images.")
@click.option("--seed", type=int, help="What the order of --shuffle is drawn from.")
@click.option("--backend", default="lmdb", show_default=True, help="lmdb; no other is written.")
@click.option("--resize_width", default=0, help="Resize the images to this width.")
@click.option("--resize_height", default=0, help="Resize the images to this height.")
@click.option("--check_size/--nocheck_size", help="Refuse images of several sizes.")
@click.option("--encoded/--noencoded", help="Keep the images encoded.")
@click.option("--encode_type", default="", help="Encode the images as png, jpg, ...")
@click.option("--skip_unreadable", is_flag=True, help="Leave out images that cannot be read.")
def command(
    root_folder: str,
    list_file: str,
    database: str,
    gray: bool,
    shuffle: bool,
    seed: int | None,
    backend: str,
    resize_width: int,
    resize_height: int,
    check_size: bool,
    encoded: bool,
    encode_type: str,
    skip_unreadable: bool,
) -> None:
    """Write the images that LIST_FILE names and labels into a new LMDB, DATABASE.

    ROOT_FOLDER is put before each name as it is, so that it ends in a slash. The flags are those
    of Caffe's tool, which leaves out images that it cannot read; here that is --skip_unreadable.

    \b
    Example:
      torchcaffe convert_imageset images/ list.txt train_lmdb --resize_height 32 --resize_width 32
    """
    from torchcaffe.data import convert_imageset

    if backend != "lmdb":
        raise InputError(f'--backend takes "lmdb", got "{backend}"; Caffe reads both')
    if bool(resize_height) != bool(resize_width) or min(resize_height, resize_width) < 0:
        raise InputError("give both --resize_height and --resize_width, or neither")
    count = convert_imageset(
        root_folder,
        list_file,
        database,
        gray=gray,
        shuffled=shuffle,
        seed=seed,
        resize=(resize_height, resize_width) if resize_height else None,
        check_size=check_size,
        encoded=encoded,
        encode_type=encode_type,
        skip_unreadable=skip_unreadable,
    )
    click.echo(f"{database}: {count} images")
