"""The tracker as the got10k toolkit takes it."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from goturn.box import Box
from goturn.errors import GoturnError
from goturn.network import Network
from goturn.tracker import Tracker

try:
    from got10k.trackers import Tracker as Toolkit
except ImportError:
    raise GoturnError("goturn.adapters.got10k needs the toolkit: pip install got10k") from None


class GoturnTracker(Toolkit):  # type: ignore[misc]
    """What the toolkit's experiments run: ``ExperimentGOT10k(...).run(GoturnTracker(weights))``.

    weights, options
        are those of ``goturn.Tracker``

    The toolkit's boxes are taken as they are, x and y as pixels from 0, as its own trackers do.
    """

    def __init__(
        self, weights: str | PathLike[str] | Network, *, name: str = "GOTURN", **options: Any
    ) -> None:
        super().__init__(name, is_deterministic=True)
        self.tracker = Tracker(weights, **options)

    def init(self, image: Any, box: Any) -> None:
        """Begin with the object at ``box``, (x, y, width, height), in a PIL image."""
        self.tracker.init(_bgr(image), [float(value) for value in box])

    def update(self, image: Any) -> Any:
        """Where it is in a PIL image: (4,) float64, x, y, width, height."""
        _, corners = self.tracker.update(_bgr(image))
        return np.array(Box.from_xywh(*corners).ordered().to_xywh())


def _bgr(image: Any) -> Any:
    """A PIL image as OpenCV has it."""
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
