"""The building of a net as Caffe logs it.

Caffe: ``src/caffe/net.cpp`` (Init, FilterNet, AppendTop, AppendBottom, AppendParam),
``include/caffe/layer_factory.hpp``, ``src/caffe/layers/data_layer.cpp``,
``src/caffe/layers/image_data_layer.cpp``, ``src/caffe/data_transformer.cpp``.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from torchcaffe.build import Step
from torchcaffe.graph import broken_condition, filter_layers
from torchcaffe.logs.glog import Line, dump, number
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import NetParameter

RULE_PLACES = {
    "phase": 296,
    "min_level": 306,
    "max_level": 316,
    "did not contain": 332,
    "not_stage": 347,
}
"""Lines of net.cpp, by what is in their words alone."""

SIZE_PLACES = {"Data": "data_layer.cpp:45", "ImageData": "image_data_layer.cpp:90"}


def filtered_lines(param: NetParameter) -> Iterator[Line]:
    """Which rules left layers out, and the net that remains; the state is the net's own."""
    for layer in param.layer:
        for rule in layer.include or layer.exclude:
            words = broken_condition(param.state, rule)
            if words is None:
                break
            place = next(line for key, line in RULE_PLACES.items() if key in words)
            text = f"{words} specified by a rule in layer {layer.name}"
            yield Line(f"net.cpp:{place}", text)
    filtered = param.copy()
    filtered.layer = filter_layers(param, param.state)
    yield Line("net.cpp:53", f"Initializing net from parameters: \n{dump(filtered)}")


def built_lines(net: CaffeNet) -> Iterator[Line]:
    """The layers with their connections and shapes, which of them learn, and the outputs."""
    numbers = 0
    for step in net.steps:
        yield from _connections(step)
        yield Line("net.cpp:124", f"Setting up {step.name}")
        for shape, weight in zip(step.top_shapes, step.loss_weights, strict=True):
            dims = "".join(f"{size} " for size in shape)
            yield Line("net.cpp:131", f"Top shape: {dims}({prod(shape)})")
            if weight:
                yield Line("net.cpp:134", f"    with loss weight {number(weight)}")
            numbers += prod(shape)
        yield Line("net.cpp:139", f"Memory required for data: {4 * numbers}")
        yield from _shared(net, step)
    for step in reversed(net.steps):
        need = step.needs.layer
        place, words = (200, "needs") if need else (202, "does not need")
        yield Line(f"net.cpp:{place}", f"{step.name} {words} backward computation.")
    for name in net.outputs:
        yield Line("net.cpp:244", f"This network produces output {name}")
    yield Line("net.cpp:257", "Network initialization done.")


def _connections(step: Step) -> Iterator[Line]:
    param = step.param
    yield Line("layer_factory.hpp:77", f"Creating layer {step.name}")
    if step.kind.name == "Data":
        yield Line("db_lmdb.cpp:35", f"Opened lmdb {param.data_param.source}")
    yield Line("net.cpp:86", f"Creating Layer {step.name}")
    for bottom in step.bottoms:
        yield Line("net.cpp:408", f"{step.name} <- {bottom}")
    for position, top in enumerate(step.tops):
        in_place = step.bottoms[position : position + 1] == [top]
        place, end = ("net.cpp:369", " (in-place)") if in_place else ("net.cpp:382", "")
        yield Line(place, f"{step.name} -> {top}{end}")
    if step.kind.name in ("SoftmaxWithLoss", "InfogainLoss"):
        # They have a Softmax layer of the same name inside.
        yield Line("layer_factory.hpp:77", f"Creating layer {step.name}")
    if step.kind.name in SIZE_PLACES:
        if param.transform_param.has("mean_file"):
            text = f"Loading mean file from: {param.transform_param.mean_file}"
            yield Line("data_transformer.cpp:25", text)
        size = ",".join(map(str, step.top_shapes[0]))
        yield Line(SIZE_PLACES[step.kind.name], f"output data size: {size}")


def _shared(net: CaffeNet, step: Step) -> Iterator[Line]:
    for index, spec in enumerate(step.specs):
        owner, place = net.owner(step.name, index)
        if (owner, place) != (step.name, index):
            text = f"Sharing parameters '{spec.name}' owned by layer '{owner}', param index {place}"
            yield Line("net.cpp:467", text)
