"""What a solver tells its listener, in the order in which Caffe logs it.

A listener is any function of one event. Each event is data; how it reads is the listener's affair,
so that a log, a progress bar and a file of JSON lines can listen to the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import NetParameter, SolverParameter
from torchcaffe.solvers.clip import Clipped


@dataclass(frozen=True)
class Output:
    """One number of a net's output blob; ``weight`` is the blob's loss weight."""

    blob: str
    value: float
    weight: float


@dataclass(frozen=True)
class Initializing:
    """A solver is made from these parameters."""

    param: SolverParameter


@dataclass(frozen=True)
class CreatingNet:
    """The train net (``test`` is None) or a test net is made; ``source`` is a field's name.

    ``param`` is the whole net, of which the state that stands in it chooses the layers.
    """

    test: int | None
    source: str
    file: str | None
    param: NetParameter


@dataclass(frozen=True)
class CreatedNet:
    """The net is there."""

    test: int | None
    net: CaffeNet


@dataclass(frozen=True)
class Finetuning:
    """A net takes weights from a file, which has layers that the net does not: ``ignored``."""

    file: str
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class Scaffolded:
    """All nets are there."""


@dataclass(frozen=True)
class Solving:
    """``solve`` begins."""

    net: str
    lr_policy: str


@dataclass(frozen=True)
class Restoring:
    """``solve`` goes on from a state."""

    file: str


@dataclass(frozen=True)
class Restored:
    """The solver is at ``iteration`` now, as a state's file says."""

    file: Path
    iteration: int


@dataclass(frozen=True)
class Testing:
    """A test pass begins; ``ignored`` are layers of the train net that the test net lacks."""

    iteration: int
    test: int
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class Tested:
    """A test pass is done: each output's average, and the loss's with ``test_compute_loss``."""

    iteration: int
    test: int
    loss: float | None
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class TestInterrupted:
    """A test pass was left because a stop was requested."""

    test: int


@dataclass(frozen=True)
class Displayed:
    """An iteration that ``display`` asks for, before its update.

    ``loss`` is the average over the last ``average_loss`` iterations; ``outputs`` are those of the
    latest batch. ``iterations`` were done in ``seconds`` since the event before this one, or since
    the step began.
    """

    iteration: int
    loss: float
    outputs: tuple[Output, ...]
    iterations: int
    seconds: float


@dataclass(frozen=True)
class Stepped:
    """The multistep policy went on to another rate."""

    iteration: int
    current_step: int


@dataclass(frozen=True)
class Rated:
    """The rate of an iteration that ``display`` asks for."""

    iteration: int
    lr: float


@dataclass(frozen=True)
class Updated:
    """The weights were updated, ``iteration`` times by now, at the rate ``lr``.

    ``loss`` is that of the batches of this update alone.
    """

    iteration: int
    loss: float
    lr: float


@dataclass(frozen=True)
class Snapshotting:
    """A file of a snapshot is written; ``kind`` is "model", "state" or "torch"."""

    kind: str
    path: Path


@dataclass(frozen=True)
class FinalLoss:
    """The loss after the last update, of one more forward pass."""

    iteration: int
    loss: float


@dataclass(frozen=True)
class DebugForward:
    """With ``debug_info``: the mean magnitude of a layer's top or parameter; ``kind`` says which.

    A parameter's ``blob`` is its name, or its number if it has none.
    """

    layer: str
    kind: str
    blob: str
    value: float


@dataclass(frozen=True)
class DebugBackward:
    """With ``debug_info``: that of a gradient; ``kind`` is "bottom" or "param"."""

    layer: str
    kind: str
    blob: str
    value: float


@dataclass(frozen=True)
class DebugNorms:
    """With ``debug_info``: the L1 and L2 norms of all parameters and of all their gradients."""

    l1_data: float
    l1_diff: float
    l2_data: float
    l2_diff: float


class Stop(Enum):
    """Why ``solve`` came back."""

    FINISHED = "Optimization Done."
    REQUESTED = "Optimization stopped early."


@dataclass(frozen=True)
class Stopped:
    """``solve`` comes back."""

    reason: Stop


Event = (
    Initializing
    | CreatingNet
    | CreatedNet
    | Finetuning
    | Scaffolded
    | Solving
    | Restoring
    | Restored
    | Testing
    | Tested
    | TestInterrupted
    | Displayed
    | Stepped
    | Rated
    | Clipped
    | Updated
    | Snapshotting
    | FinalLoss
    | DebugForward
    | DebugBackward
    | DebugNorms
    | Stopped
)
Listener = Callable[[Event], None]


class Request(Enum):
    """What the outside may ask of a run between two updates."""

    NONE = "none"
    SNAPSHOT = "snapshot"
    STOP = "stop"
