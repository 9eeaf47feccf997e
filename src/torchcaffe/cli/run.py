"""``torchcaffe run``: one forward pass, every blob by its Caffe name."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

from torchcaffe import proto
from torchcaffe.cli._options import (
    net_arguments,
    own_code_options,
    parse_shapes,
    phase_option,
    shape_option,
    split_assignment,
)
from torchcaffe.errors import InputError
from torchcaffe.images import Array, read_image
from torchcaffe.layers._registry import shape_text
from torchcaffe.load import load
from torchcaffe.net import CaffeNet
from torchcaffe.proto.files import replacing
from torchcaffe.proto.schema import BlobProto


@click.command()
@net_arguments
@click.option("--input", "inputs", multiple=True, metavar="NAME=FILE", help=".npy or an image.")
@click.option("-o", "--output", type=click.Path(), help="Save every blob to this .npz file.")
@own_code_options
@phase_option
@shape_option
@click.option("--seed", type=int, help="Fill parameters and draw masks from this seed, as Caffe.")
@click.option("--until", metavar="LAYER", help="Stop after this layer.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option(
    "--mean", help="Mean to subtract: 104,117,123 in the net's channel order, .npy or .binaryproto."
)
@click.option("--scale", default=1.0, show_default=True, help="Factor, after the mean.")
@click.option(
    "--channel-order", type=click.Choice(["BGR", "RGB"]), default="BGR", show_default=True
)
@click.option("--resize", metavar="H,W", help="Resize images first; they are then cropped.")
@click.option("--labels", type=click.Path(), help="Text file, one label a line: print the top 5.")
def command(
    net: str,
    weights: str | None,
    inputs: tuple[str, ...],
    output: str | None,
    phase: str,
    level: int,
    stages: tuple[str, ...],
    shapes: tuple[str, ...],
    allow_python: bool,
    seed: int | None,
    until: str | None,
    device: str,
    mean: str | None,
    scale: float,
    channel_order: str,
    resize: str | None,
    labels: str | None,
) -> None:
    """Run NET forward once and save or print its blobs.

    An image is read, resized, cropped in the middle, its mean subtracted and scaled in Caffe's
    order. Without -o the outputs are printed.

    \b
    Example:
      torchcaffe run deploy.prototxt weights.caffemodel --input data=cat.jpg \\
          --resize 256,256 --mean 104,117,123 --labels synset_words.txt
    """
    given = dict(split_assignment("--input", value) for value in inputs)
    wanted = parse_shapes(shapes)
    arrays = {
        name: _read_array(path) for name, path in given.items() if Path(path).suffix == ".npy"
    }
    loaded = load(
        net,
        weights,
        phase=phase,
        level=level,
        stages=stages,
        inputs={**{name: value.shape for name, value in arrays.items()}, **wanted},
        seed=seed,
        allow_python=allow_python,
    ).to(_device(device))
    for name, path in given.items():
        if name not in arrays:
            arrays[name] = read_image(
                path,
                _input_shape(loaded, name),
                mean=None if mean is None else _read_mean(mean),
                scale=scale,
                channel_order=channel_order,
                resize=_pair(resize),
            )
    tensors = {name: torch.from_numpy(value).to(device) for name, value in arrays.items()}
    with torch.no_grad():
        blobs = loaded.blobs(until=until, **tensors)
    values = {name: blob.cpu().numpy() for name, blob in blobs.items()}
    if output is not None:
        _save(Path(output), values)
        click.echo(f"{len(values)} blobs in {output}")
    else:
        shown = loaded.outputs if until is None else _tops(loaded, until)
        _print_outputs({name: values[name] for name in shown}, labels)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f'--device "{name}" cannot be used: {str(error).splitlines()[0]}'
        ) from None
    return device


def _read_array(path: str) -> Array:
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; a .npy file was expected there") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as .npy: {error}") from None
    return np.asarray(array, np.float32)


def _read_mean(text: str) -> Array:
    if text.endswith(".npy"):
        return _read_array(text)
    if text.endswith(".binaryproto"):
        return proto.blob_array(proto.read_wire(Path(text), BlobProto), text)
    try:
        return np.array([float(part) for part in text.split(",")], np.float32)
    except ValueError:
        raise InputError(
            f'--mean takes numbers (104,117,123), a .npy or a .binaryproto file, got "{text}"'
        ) from None


def _pair(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        raise InputError(f'--resize takes H,W in pixels, got "{text}"')
    return int(parts[0]), int(parts[1])


def _input_shape(net: CaffeNet, name: str) -> tuple[int, ...]:
    if name not in net.inputs:
        raise InputError(f'the net has no input "{name}"; its inputs are {", ".join(net.inputs)}')
    return net.inputs[name]


def _tops(net: CaffeNet, layer: str) -> list[str]:
    return next(step.tops for step in net.steps if step.name == layer)


def _save(path: Path, values: dict[str, Array]) -> None:
    with replacing(path) as file:
        np.savez(file, **values)  # type: ignore[arg-type]


def _print_outputs(values: dict[str, Array], labels: str | None) -> None:
    names = _read_labels(labels) if labels else []
    for name, value in values.items():
        if names and value.size % len(names) == 0 and value.ndim > 1:
            for row, scores in enumerate(value.reshape(-1, len(names))):
                click.echo(f"{name}[{row}]" if len(value) > 1 else name)
                for index in np.argsort(-scores, kind="stable")[:5]:
                    click.echo(f"  {scores[index]:.6f}  {names[index]}")
        else:
            flat = value.reshape(-1)
            more = f" ... ({flat.size} values)" if flat.size > 10 else ""
            listed = " ".join(f"{number:.8g}" for number in flat[:10])
            click.echo(f"{name} {shape_text(value.shape)}: {listed}{more}")


def _read_labels(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    return [line.strip() for line in lines if line.strip()]
