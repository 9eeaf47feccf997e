"""From a net's text to the layers that will run: rules of phase and stage, implicit splits.

Caffe: ``src/caffe/net.cpp`` (FilterNet, StateMeetsRule) and ``src/caffe/util/insert_splits.cpp``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from torchcaffe.errors import NetError
from torchcaffe.layers._registry import describe
from torchcaffe.proto.schema import LayerParameter, NetParameter, NetState, NetStateRule
from torchcaffe.proto.suggest import did_you_mean

Top = tuple[int, int]


def merged_state(
    net: NetParameter, phase: str | None, level: int = 0, stages: Sequence[str] = ()
) -> NetState:
    """The state a net is built in: the file's own, its phase and level replaced, stages added."""
    state: NetState = net.state.copy()
    if phase is not None:
        state.phase = phase
        state.level = level
    state.stage = [*state.stage, *stages]
    return state


def meets_rule(state: NetState, rule: NetStateRule) -> bool:
    """Whether every condition that the rule gives holds in ``state``."""
    return broken_condition(state, rule) is None


def broken_condition(state: NetState, rule: NetStateRule) -> str | None:
    """The first condition of the rule that does not hold in ``state``, in Caffe's words.

    Caffe says "above" of a level that is below the rule's min_level, too.
    """
    if rule.has("phase") and rule.phase != state.phase:
        numbers = [("TRAIN", "TEST").index(each.phase) for each in (state, rule)]
        return "The NetState phase ({}) differed from the phase ({})".format(*numbers)
    if rule.has("min_level") and state.level < rule.min_level:
        return f"The NetState level ({state.level}) is above the min_level ({rule.min_level})"
    if rule.has("max_level") and state.level > rule.max_level:
        return f"The NetState level ({state.level}) is above the max_level ({rule.max_level})"
    for stage in rule.stage:
        if stage not in state.stage:
            return f"The NetState did not contain stage '{stage}'"
    for stage in rule.not_stage:
        if stage in state.stage:
            return f"The NetState contained a not_stage '{stage}'"
    return None


def filter_layers(net: NetParameter, state: NetState) -> list[LayerParameter]:
    """The layers that belong to ``state``."""
    kept = []
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise NetError(
                f"{describe(layer)}: has include rules and exclude rules; Caffe takes one kind only"
            )
        if layer.include:
            keep = any(meets_rule(state, rule) for rule in layer.include)
        else:
            keep = not any(meets_rule(state, rule) for rule in layer.exclude)
        if keep:
            kept.append(layer)
    return kept


def insert_splits(layers: Sequence[LayerParameter]) -> list[LayerParameter]:
    """Give every reader of a blob its own copy, by a Split layer after the blob's producer.

    A top with a loss weight of its own counts the loss as one more reader: the weight moves to the
    Split, and the producer's whole list of weights is cleared, as in Caffe (where a loss layer then
    adds its default weight again, so that the reported loss counts it twice).
    """
    producer: dict[str, Top] = {}
    sources: dict[tuple[int, int], Top] = {}
    readers: dict[Top, int] = defaultdict(int)
    for index, layer in enumerate(layers):
        for position, name in enumerate(layer.bottom):
            if name not in producer:
                raise missing_bottom(layer, name, layers, index)
            sources[index, position] = producer[name]
            readers[producer[name]] += 1
        for position, name in enumerate(layer.top):
            producer[name] = (index, position)
        for position, weight in enumerate(layer.loss_weight[: len(layer.top)]):
            if weight:
                readers[index, position] += 1

    result: list[LayerParameter] = []
    used: dict[Top, int] = defaultdict(int)
    for index, original in enumerate(layers):
        layer = original.copy()
        for position in range(len(layer.bottom)):
            source = sources[index, position]
            if readers[source] > 1:
                layer.bottom[position] = _split_top(layers, source, used[source])
                used[source] += 1
        result.append(layer)
        weights = list(layer.loss_weight)
        for position in range(len(layer.top)):
            top = (index, position)
            if readers[top] > 1:
                weight = weights[position] if position < len(weights) else 0.0
                result.append(_split_layer(layers, top, readers[top], weight))
                if weight:
                    layer.clear("loss_weight")
                    used[top] += 1
    return result


def _split_name(layers: Sequence[LayerParameter], top: Top) -> str:
    layer = layers[top[0]]
    return f"{layer.top[top[1]]}_{layer.name}_{top[1]}_split"


def _split_top(layers: Sequence[LayerParameter], top: Top, reader: int) -> str:
    return f"{_split_name(layers, top)}_{reader}"


def _split_layer(
    layers: Sequence[LayerParameter], top: Top, count: int, weight: float
) -> LayerParameter:
    producer = layers[top[0]]
    split = LayerParameter(
        name=_split_name(layers, top),
        type="Split",
        bottom=[producer.top[top[1]]],
        top=[_split_top(layers, top, reader) for reader in range(count)],
    )
    split.location = producer.location
    if weight:
        split.loss_weight = [weight] + [0.0] * (count - 1)
    if producer.has("phase"):
        split.phase = producer.phase
    return split


def missing_bottom(
    layer: LayerParameter, name: str, layers: Sequence[LayerParameter], index: int
) -> NetError:
    """The error for a bottom that no earlier layer makes."""
    earlier = {top for other in layers[:index] for top in other.top}
    later = [other.name for other in layers[index:] if name in other.top]
    if later:
        hint = (
            f'. Layer "{later[0]}" makes it, but only later: layers are listed in the order they '
            f"run, and a net has no cycles."
        )
    else:
        hint = did_you_mean(name, earlier) or "."
    return NetError(
        f'{describe(layer, "bottom")}: bottom "{name}" is not the top of any earlier layer{hint}'
    )
