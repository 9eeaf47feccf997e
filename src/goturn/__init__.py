"""GOTURN, the tracker of "Learning to Track at 100 FPS with Deep Regression Networks"."""

from goturn.box import Box
from goturn.sequence import Sequence

__all__ = ["Box", "Sequence"]
