"""Training as Caffe trains: update rules, learning rates, the loop, snapshots."""

from torchcaffe.solvers import events
from torchcaffe.solvers.distributed import Ranks, joined
from torchcaffe.solvers.signals import Signals
from torchcaffe.solvers.snapshot import newest_snapshot

__all__ = ["Ranks", "Signals", "events", "joined", "newest_snapshot"]
