"""The network: from any file that holds a GOTURN to a module that answers boxes.

It computes as the imported Caffe net. ``goturn.regressor`` is the published net as PyTorch source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from goturn.errors import ModelError
from torchcaffe import CaffeNet, proto
from torchcaffe.proto import LayerParameter, NetParameter
from torchcaffe.weights import SourceLayer, Weights, copy_weights, read_weights

INPUTS = ("target", "image")
ANSWER = "fc8-shapes"
"""The layer whose top is the answer."""

TOWER = ("conv1", "conv2", "conv3", "conv4", "conv5")
LAYERS = (
    *TOWER,
    *(f"{name}_p" for name in TOWER),
    *("fc6-new", "fc7-new", "fc7-newb", ANSWER),
)
"""The layers with weights, as the original names them."""

PUBLISHED = Path(__file__).parent / "nets" / "tracker.prototxt"
"""The published net, as it is trained."""

PUBLISHED_SHAPE = [1, 3, 227, 227]
"""Of its inputs."""

PRECISIONS = ("float32", "bf16", "exact")


class Network:
    """A GOTURN that answers boxes; any number of trackers may share it.

    param
        the net as ``deploy_net`` gives it
    weights
        its weights; what they lack is a ModelError
    device
        where it computes
    precision
        "float32" is fast on a processor: its weights are packed for it, and what it answers is
        close to the imported Caffe net's answer; "exact" has that net's bits; "bf16" reads its
        weights in half the bytes, rounded to eight binary digits.

    ``size`` is S, the pixels of a crop along each side.
    """

    def __init__(
        self,
        param: NetParameter,
        weights: Weights,
        *,
        device: str | torch.device = "cpu",
        precision: str = "float32",
    ) -> None:
        if precision not in PRECISIONS:
            raise ModelError(f'precision takes {", ".join(PRECISIONS)}, got "{precision}"')
        self.param = param
        self.weights = weights
        net = self._imported()
        self.size = net.inputs["target"][-1]
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.like = _empty(device)
        if self.like.is_cpu and precision != "exact":
            self.net: nn.Module = net.optimize(dtype)
        else:
            self.like = self.like.to(dtype)
            self.net = net.to(self.like)

    def _imported(self) -> CaffeNet:
        """The Caffe net with its weights; ModelError if they lack some."""
        given = [layer.name for layer in self.weights.layers if layer.blobs]
        _refuse(_with_weights(self.param), given, self.weights.file)
        net = CaffeNet(self.param, "TEST", unfilled=given)
        copy_weights(net, self.weights)
        return net.requires_grad_(False)

    @classmethod
    def load(
        cls,
        weights: str | PathLike[str],
        model: str | PathLike[str] | None = None,
        *,
        device: str | torch.device = "cpu",
        precision: str = "float32",
    ) -> Network:
        """The network of a file.

        weights
            a ``.caffemodel``, the original's or one that training left; a ``.safetensors`` of ours
            or of ``torchcaffe convert``; or another file of weights that torchcaffe reads
        model
            the prototxt, as it is for training or for tracking. Without it, a caffemodel and our
            safetensors tell the net themselves; other files are taken for the published one.

        Raises ModelError if it is no GOTURN, and says which layers are missing.
        """
        path = Path(weights)
        if path.suffix == ".safetensors":
            own, source = _read_safetensors(path)
        else:
            source = read_weights(path)
            own = proto.read_weights_net(path) if path.suffix == ".caffemodel" else None
        if model is not None:
            param = deploy_net(proto.read_net(Path(model)), str(model))
        elif own is not None:
            param = deploy_net(own, str(path))
        else:
            param = deploy_net(proto.read_net(PUBLISHED), PUBLISHED.name)
        return cls(param, source, device=device, precision=precision)

    def save(self, path: str | PathLike[str]) -> None:
        """Write weights and net as one ``.safetensors``; the keys are those of the printed net."""
        tensors = {
            f"{_key(layer)}.{name}": blob.detach().contiguous()
            for layer, blobs in self._imported().params.items()
            for name, blob in zip(("weight", "bias"), blobs, strict=True)
        }
        data = save(tensors, {"format": "pt", "net": proto.format_text(self.param)})
        with proto.replacing(Path(path)) as file:
            file.write(data)

    @torch.inference_mode()
    def __call__(self, target: Tensor, image: Tensor) -> Tensor:
        """The boxes in the search crops, 0 to 10: (N, 4) float32 on the CPU, x1 y1 x2 y2.

        target, image    (N, 3, S, S), what the objects looked like and where to look for them
        """
        inputs = {"target": target.to(self.like), "image": image.to(self.like)}
        answer: Tensor = next(iter(self.net(**inputs).values()))
        return answer.float().cpu()


def _empty(device: str | torch.device) -> Tensor:
    """An empty tensor there; ModelError if there is no such device."""
    try:
        return torch.empty(0, device=torch.device(device))
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f'the device "{device}" cannot be used: {reason}') from None


def deploy_net(param: NetParameter, name: str) -> NetParameter:
    """The part of a training or tracking net that answers boxes, its blobs left out.

    Raises ModelError, with ``name``, if it has no such part.
    """
    layers = {layer.name for layer in param.layer}
    _refuse([ANSWER] if ANSWER in layers else LAYERS, layers, name)
    end = next(i for i, layer in enumerate(param.layer) if layer.name == ANSWER)
    wanted = {*param.layer[end].top}
    chosen: list[LayerParameter] = []
    for layer in reversed(param.layer[: end + 1]):
        if layer.type != "Input" and wanted.intersection(layer.top):
            wanted.update(layer.bottom)
            chosen.insert(0, _bare(layer))
    if not wanted.issuperset(INPUTS):
        raise ModelError(
            f'{name} is no GOTURN: its layer "{ANSWER}" does not follow from the inputs '
            f"{' and '.join(INPUTS)}"
        )
    result = NetParameter(name=param.name or "GOTURN")
    result.layer = [_input_layer(input_size(param)), *chosen]
    return result


def _bare(layer: LayerParameter) -> LayerParameter:
    """A layer without what a saved net adds: its weights, and the phase it was trained in."""
    bare = LayerParameter()
    for field, value in layer.present():
        if field.name not in ("blobs", "phase"):
            setattr(bare, field.name, value)
    return bare


def _with_weights(param: NetParameter) -> list[str]:
    return [layer.name for layer in param.layer if layer.type in ("Convolution", "InnerProduct")]


def input_size(param: NetParameter) -> int:
    """The pixels of a crop along each side; ModelError if the inputs are not two such crops.

    Caffemodels of the original's time do not tell: they are taken for the published net.
    """
    shapes: dict[str, list[int]] = {}
    for layer in param.layer:
        if layer.type == "Input":
            given = layer.input_param.shape
            each = given * len(layer.top) if len(given) == 1 else given
            shapes |= {top: list(s.dim) for top, s in zip(layer.top, each, strict=True)}
    target, image = (shapes.get(blob, PUBLISHED_SHAPE)[1:] for blob in INPUTS)
    if target != image or len(target) != 3 or target[0] != 3 or target[1] != target[2]:
        raise ModelError(
            f"{param.name} is no GOTURN: two square images of 3 channels were expected as its "
            f"inputs, they are {target} and {image}"
        )
    return target[1]


def _input_layer(size: int) -> LayerParameter:
    tops = 'type: "Input" top: "target" top: "image"'
    shape = f"dim: 1 dim: 3 dim: {size} dim: {size}"
    text = f'name: "input" {tops} input_param {{ shape {{ {shape} }} }}'
    return proto.parse_text(text, LayerParameter)


def _refuse(wanted: Iterable[str], given: Collection[str], name: str) -> None:
    """Raise ModelError if a layer is missing."""
    missing = [layer for layer in wanted if layer not in given]
    if missing:
        raise ModelError(
            f"{name} is no GOTURN, or not all of one: missing are the layers {', '.join(missing)}"
        )


def _key(layer: str) -> str:
    """Where a layer stands in the printed net."""
    if layer.startswith("conv"):
        tower = "block_p" if layer.endswith("_p") else "block"
        return f"{tower}.{layer.removesuffix('_p')}"
    return layer.replace("-", "_")


def _read_safetensors(path: Path) -> tuple[NetParameter | None, Weights]:
    """The net, if the file tells it, and the weights."""
    try:
        with safe_open(path, "np") as file:
            text = (file.metadata() or {}).get("net")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read as safetensors: {error}") from None
    layers = []
    for layer in LAYERS:
        keys = [f"{_key(layer)}.{name}" for name in ("weight", "bias")]
        blobs = [tensors[key].astype(np.float32) for key in keys if key in tensors]
        layers.append(SourceLayer(layer, blobs, [False] * len(blobs)))
    param = proto.parse_text(text, NetParameter, str(path)) if text is not None else None
    return param, Weights(str(path), layers)
