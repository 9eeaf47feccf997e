"""What the layers that read data have in common: a module that delivers a source's batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.data import Ahead, Feed, Memory, Setting, Transformer
from torchcaffe.errors import CaffeError, ConversionError, InputError, LayerError, NetWarning
from torchcaffe.layers._call import Call
from torchcaffe.layers._registry import Plan, Setup, describe
from torchcaffe.layers._uncompiled import leave_uncompiled
from torchcaffe.proto import Message
from torchcaffe.random import Mersenne


class DataLayer(nn.Module):
    """A source's next batch at each call, in the type and on the device that the net has.

    ``position`` and ``go_to`` tell and change where in its data it stands, for a run that is to be
    taken up again; a copy of the module goes on from there by itself.
    """

    def __init__(self, feed: Feed, where: str) -> None:
        super().__init__()
        leave_uncompiled(DataLayer, "_tops")
        self.feed = Ahead(feed)
        self.where = where
        # Without parameters, only a buffer tells the type and the device that the net is moved to.
        self.register_buffer("like", torch.empty(0), persistent=False)

    def forward(self) -> tuple[Tensor, ...]:
        """The tops."""
        if torch.compiler.is_exporting():
            raise RuntimeError(
                "its batches come from outside the graph; an exported net would give one for ever. "
                "Give the net its tops as inputs"
            )
        tops: tuple[Tensor, ...] = self._tops()
        return tops

    def _tops(self) -> tuple[Tensor, ...]:
        try:
            batch = self.feed.batch()
        except CaffeError as error:
            raise type(error)(f"{self.where}: {error}") from None
        return tuple(torch.from_numpy(top).to(self.get_buffer("like")) for top in batch)

    def begin(self, stream: Mersenne) -> None:
        """Draw from the net's stream what Caffe draws when it sets the layer up."""
        try:
            self.feed.change(lambda feed: feed.begin(stream))
        except CaffeError as error:
            raise LayerError(f"{self.where}: {error}") from None

    def position(self) -> dict[str, Any]:
        """Where the batches that were delivered end: numbers, None and arrays by name."""
        return dict(self.feed.state())

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Go on from where ``position`` was told."""
        self.feed.restore(position)

    def deal(self, rank: int, ranks: int) -> None:
        """In phase TRAIN, read this rank's records of Data and HDF5Data only, as in Caffe."""
        if not 0 <= rank < ranks:
            raise InputError(f"a rank lies between 0 and {ranks - 1}, got {rank}")
        self.feed.change(lambda feed: feed.deal(rank, ranks))

    @property
    def memory(self) -> Memory:
        """The source of a MemoryData layer, which takes arrays; InputError for other layers."""
        if not isinstance(self.feed.feed, Memory):
            raise InputError(f"{self.where} takes no arrays: it reads them from its source")
        return self.feed.feed


def unprinted(where: str) -> Tensor:
    """Refuse to be printed, as the source of a conversion."""
    raise ConversionError(
        f"{where}: reads its data from a source, and a module takes inputs; give the shapes of its "
        f"tops as inputs when converting"
    )


def data_plan(layer: Setup, make: Callable[[], Feed]) -> Plan:
    """The plan of a layer that reads data; what is wrong with the source is the layer's error."""
    try:
        feed = make()
    except CaffeError as error:
        tops = ", ".join(f'"{name}"' for name in layer.param.top)
        raise layer.refuse(f"{error}; or give the net {tops} as inputs instead") from None
    where = describe(layer.param)
    return Plan(
        Call("torchcaffe.layers._data.unprinted", where),
        tops=tuple(feed.shapes[: layer.tops]),
        module=DataLayer(feed, where),
    )


def setting(layer: Setup, batch_size: int) -> Setting:
    """What every source needs to know."""
    layer.require(batch_size > 0, f"needs a batch_size of at least 1, got {batch_size}")
    ahead = layer.param.data_param.prefetch
    layer.require(ahead > 0, "has prefetch: 0, with which Caffe waits for ever; give 1 or more")
    return Setting(batch_size, layer.phase, layer.tops > 1, ahead)


def transformer(layer: Setup) -> Transformer:
    """The layer's transformer."""
    return Transformer(layer.param.transform_param, layer.phase)


def require_source(layer: Setup, source: str) -> None:
    """Refuse a layer without a source."""
    tops = ", ".join(f'"{name}"' for name in layer.param.top)
    layer.require(
        bool(source),
        f"reads its data from a source, and has none; give one, or give the net "
        f"{tops} as inputs instead",
    )


def warn_unused(layer: Setup, message: Message, names: Sequence[str], way_out: str) -> None:
    """Say which options of ``message`` Caffe, and so we, leave unread."""
    for name in names:
        if message.has(name):
            warnings.warn(
                f"{describe(layer.param)}: has {name}, which Caffe ignores here; {way_out}",
                NetWarning,
                stacklevel=2,
            )
