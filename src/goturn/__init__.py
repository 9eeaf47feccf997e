"""GOTURN, the tracker of "Learning to Track at 100 FPS with Deep Regression Networks"."""

from goturn.box import Box
from goturn.network import Network
from goturn.sequence import Sequence
from goturn.still import Still
from goturn.tracker import MultiTracker, Tracker

__all__ = ["Box", "MultiTracker", "Network", "Sequence", "Still", "Tracker"]
