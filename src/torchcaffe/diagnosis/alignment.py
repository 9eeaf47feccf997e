"""Find, for the values of the port's run, the blobs of Caffe's that they stand for.

The tape is played again with every value that is known to stand for a blob replaced by that blob,
so that what follows a mistake is compared as if it had not been made. Equal values decide. Where
none are equal, a call with weights says what its input ought to be, and the ends what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

from torchcaffe.diagnosis.anchors import CAFFE_KINDS, Anchor, pair_anchors
from torchcaffe.diagnosis.layouts import Layout, alike, fitting, match, summary
from torchcaffe.diagnosis.reference import Reference, Values
from torchcaffe.diagnosis.tape import Op, Player, Ref, Tape
from torchcaffe.diagnosis.weighted import KINDS, argument, weighted

TRANSPARENT = (
    "pad", "contiguous", "permute", "transpose", "view", "reshape", "flatten", "squeeze",
    "unsqueeze", "dropout", "dropout2d", "to", "float", "clone", "detach", "T", "t", "movedim",
    "half", "bfloat16", "double", "type", "identity", "getitem", "alpha_dropout", "data",
    "resolve_conj", "ravel", "unflatten", "moveaxis", "swapaxes", "rearrange",
)  # fmt: skip
"""Calls that do no arithmetic: behind them a value still stands for the same blob."""


@dataclass(frozen=True)
class Pair:
    """A value of the port's that stands for one of Caffe's, in a layout.

    ``how``  "value" (they are equal), "input" (what a call with weights is applied to), "output"
    (what it makes), "end" (what the net gives).
    """

    caffe: int
    port: int
    layout: Layout
    how: str


@dataclass
class Alignment:
    """All pairs in the port's order. ``soft`` ones may be cut at, or not; ``errors`` are calls that
    cannot be run on Caffe's blobs."""

    tape: Tape
    reference: Reference
    anchors: list[Anchor]
    pairs: list[Pair] = field(default_factory=list)
    soft: list[Pair] = field(default_factory=list)
    errors: list[tuple[Op, Exception]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def at_port(self, value: int) -> list[Pair]:
        """The pairs of one of the port's values."""
        return [pair for pair in self.pairs if pair.port == value]

    def at_caffe(self, value: int) -> list[Pair]:
        """The pairs of one of Caffe's values."""
        return [pair for pair in self.pairs if pair.caffe == value]


def align(tape: Tape, reference: Reference, caffe: Values, binding: Mapping[int, int]) -> Alignment:
    """The alignment of a run with Caffe's values on the same inputs; ``binding`` gives the port's
    inputs Caffe's."""
    anchors = pair_anchors(tape, weighted(tape), reference, binding)
    return _Scan(Alignment(tape, reference, anchors), caffe, binding).run()


class _Scan:
    """One pass over the tape."""

    def __init__(self, found: Alignment, caffe: Values, binding: Mapping[int, int]) -> None:
        self.found, self.caffe, self.binding = found, caffe, binding
        self.tape, self.reference = found.tape, found.reference
        self.player = Player(self.tape)
        self.fed = self.tape.fed()
        self.summaries = {value: summary(tensor) for value, tensor in caffe.items()}
        self.by_size: dict[int, list[int]] = {}
        for value, tensor in caffe.items():
            self.by_size.setdefault(tensor.numel(), []).append(value)
        self.anchors = {anchor.call.op.index: anchor for anchor in found.anchors}

    def run(self) -> Alignment:
        """Walk the calls that the outputs are made of."""
        for place, value in self.binding.items():
            mine = self.tape.inputs[place]
            self.player.put(mine, self.caffe[value])
            shape = tuple(self.caffe[value].shape)
            self._pair(value, mine, Layout(tuple(range(len(shape))), shape), "value")
        for op in self.tape.slice([value for _, value in self.tape.outputs], set()):
            if self._play(self.player, op) and any(self.fed[value] for value in op.outputs):
                self._look(op)
        self._ends()
        return self.found

    def _play(self, player: Player, op: Op) -> bool:
        try:
            player.run(op)
        except Exception as error:  # whatever a person's shapes make torch say
            self.found.errors.append((op, error))
            for value in op.outputs:
                player.at.pop(value, None)
            return False
        return True

    def _look(self, op: Op) -> None:
        matched = [self._match(value) for value in op.outputs]
        anchor = self.anchors.get(op.index)
        if anchor is None or any(matched):
            return
        bottom = anchor.part.bottoms[0]
        if not self._stands(anchor, bottom):
            self._heal(op, anchor, bottom)
            if any(self._match(value) for value in op.outputs):
                return
        output, top = op.outputs[0], self._top(anchor)
        layout = fitting(tuple(self.caffe[top].shape), self._shape(output))
        if layout is not None:
            self.found.soft.append(Pair(top, output, layout, "output"))

    def _shape(self, value: int) -> tuple[int, ...]:
        return tuple(self.player.get(value).shape)

    def _match(self, value: int) -> bool:
        """Pair a value with every blob that it equals, and go on with the blob."""
        tensor = self.player.get(value)
        count = tensor.numel()
        if not tensor.is_floating_point() or count < 2 or count not in self.by_size:
            return False
        mine = summary(tensor)
        if not mine[1]:
            return False
        near: list[tuple[float, int, Layout]] = []
        for candidate in self.by_size.get(tensor.numel(), ()):
            if alike(mine, self.summaries[candidate], tensor.numel()):
                found = match(tensor, self.caffe[candidate])
                if found is not None:
                    near.append((found[1], candidate, found[0]))
        if not near:
            return False
        closest = min(gap for gap, _, _ in near)
        for gap, candidate, layout in near:
            if gap <= max(4 * closest, 1e-9):
                self._pair(candidate, value, layout, "value")
        self._put(value)
        return True

    def _pair(self, caffe: int, port: int, layout: Layout, how: str) -> None:
        self.found.pairs.append(Pair(caffe, port, layout, how))

    def _put(self, value: int) -> None:
        """Let a paired value be the blob from now on."""
        pair = self.found.at_port(value)[-1]
        self.player.put(value, pair.layout.change(self.caffe[pair.caffe]))

    def _standing(self, value: int) -> list[Pair]:
        """The pairs of a value, or of what it was before calls that do no arithmetic."""
        for place in self._behind(value):
            pairs = self.found.at_port(place)
            if pairs:
                return pairs
        return []

    def _top(self, anchor: Anchor) -> int:
        """What a call makes: of a BatchNorm with a weight, what Caffe's Scale behind it makes; of
        weights with a BatchNorm folded in, what the last of those makes."""
        top = anchor.part.tops[0]
        while anchor.relation.name == "scaled":
            behind = [part for part in self.reference.parts if top in part.bottoms]
            if len(behind) != 1 or behind[0].kind not in ("BatchNorm", "Scale"):
                break
            top = behind[0].tops[0]
        if anchor.call.kind == "norm" and isinstance(argument(anchor.call.op, "weight"), Ref):
            behind = [part for part in self.reference.parts if top in part.bottoms]
            if len(behind) == 1 and behind[0].kind == "Scale":
                return behind[0].tops[0]
        return top

    def _stands(self, anchor: Anchor, bottom: int) -> bool:
        """Whether a call with weights is applied to what Caffe's layer is, laid out for them."""
        for pair in self._standing(anchor.call.data):
            if pair.caffe == bottom:
                wanted = _layout(anchor, tuple(self.caffe[bottom].shape), pair.layout.shape)
                moved = pair.port == anchor.call.data and len(pair.layout.shape) == 2
                return not moved or wanted is None or wanted.order == pair.layout.order
        return False

    def _behind(self, value: int) -> Iterator[int]:
        """A value, and the ones that it is another layout of."""
        yield value
        maker = self.tape.values[value].maker
        while maker is not None and self.tape.ops[maker].name in TRANSPARENT:
            sources = [v for v in self.tape.ops[maker].inputs if self.fed[v]]
            if len(sources) != 1:
                return
            value = sources[0]
            yield value
            maker = self.tape.values[value].maker

    def _heal(self, op: Op, anchor: Anchor, bottom: int) -> None:
        """Let a call with weights be applied to what Caffe's layer is applied to."""
        blob = self.caffe[bottom]
        for value in self._behind(anchor.call.data):
            layout = _layout(anchor, tuple(blob.shape), self._shape(value))
            if layout is None:
                continue
            if self.found.at_port(value) and value != anchor.call.data:
                # What stands there is known: the difference lies between it and the call.
                layout = _layout(anchor, tuple(blob.shape), self._shape(anchor.call.data))
                if layout is None:
                    return
                value = anchor.call.data
            self._pair(bottom, value, layout, "input")
            self._put(value)
            for again in self.tape.slice(op.outputs, {value}):
                self._play(self.player, again)
            return

    def _ends(self) -> None:
        """What the port returns stands for what the net gives, in order where values do not say."""
        if self.tape.error is not None:
            self._broken_off()
            return
        outputs = dict(self.reference.outputs)
        ends = list(self.tape.outputs)
        done = set()
        for _, value in ends:
            done |= {pair.caffe for pair in self.found.at_port(value)}
        left = {name: value for name, value in outputs.items() if value not in done}
        open_ends = [(name, value) for name, value in ends if self.fed[value]]
        for exact in (True, False):
            if not exact:
                left = {name: value for name, value in left.items() if not self._known(value, done)}
            for name, value in open_ends:
                for blob in [name] if name in left else list(left):
                    if not self.found.at_port(value) and self._end(value, left[blob], exact):
                        del left[blob]

    def _known(self, output: int, done: set[int]) -> bool:
        """Whether the port returns the scores that a last Softmax makes an output of."""
        part = self.reference.makers.get(output)
        return part is not None and part.kind == "Softmax" and part.bottoms[0] in done

    def _end(self, value: int, output: int, exact: bool) -> bool:
        """Pair what the port returns with an output, if the shapes (or the sizes) let it."""
        target = self._scores(value, output)
        theirs, mine = tuple(self.caffe[target].shape), self._shape(value)
        layout = fitting(theirs, mine)
        if layout is None or (exact and prod(theirs) != prod(mine)):
            return False
        self._pair(target, value, layout, "end")
        return True

    def _broken_off(self) -> None:
        """Where a port raises, its last value is what the next layer with weights is applied to."""
        self.found.pairs += self.found.soft
        paired = {id(anchor.part) for anchor in self.found.anchors}
        left = [part for part in self.reference.parts if part.kind in CAFFE_KINDS]
        left = [part for part in left if id(part) not in paired]
        following = next((p for p in left if not self.found.at_caffe(p.bottoms[0])), None)
        value = self.tape.outputs[-1][1] if self.tape.outputs else None
        if self.tape.failed not in KINDS:
            return
        if following is None or value is None or self.found.at_port(value):
            return
        bottom = following.bottoms[0]
        layout = fitting(tuple(self.caffe[bottom].shape), self._shape(value))
        if layout is not None and self.fed[value]:
            self._pair(bottom, value, layout, "end")

    def _scores(self, value: int, target: int) -> int:
        """The blob before a last Softmax, if the port ends without one."""
        part = self.reference.makers.get(target)
        if part is None or part.kind != "Softmax":
            return target
        given = {pair.port for pair in self.found.pairs} - {value}
        names = {op.name for op in self.tape.slice([value], given)}
        last = {"softmax", "log_softmax", "exp", "sigmoid", "Softmax", "softmax_"}
        return target if names & last else part.bottoms[0]


def _layout(anchor: Anchor, caffe: tuple[int, ...], port: tuple[int, ...]) -> Layout | None:
    """The layout of a call's input: the one that its weights are laid out for."""
    order = anchor.relation.detail
    if anchor.part.kind == "InnerProduct" and order.startswith("(0") and len(caffe) > 2:
        axes = tuple(int(axis) for axis in order.strip("()").split(","))
        if len(axes) == len(caffe):
            return Layout(axes, port)
    return fitting(caffe, port)
