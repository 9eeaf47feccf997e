"""The tracker: a box in one frame, followed into the next, and so on.

``follow`` is all of the original's arithmetic and keeps nothing; ``Tracker`` and ``MultiTracker``
keep the previous frame and box for it.
"""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from os import PathLike

import numpy as np
import torch
from torch import Tensor

from goturn.box import Box
from goturn.crop import Crop, planes
from goturn.device_crops import device_crops
from goturn.errors import BoxError
from goturn.network import Network
from goturn.sequence import Image

Corners = tuple[float, float, float, float]
"""x, y, width, height, as OpenCV's trackers give boxes."""

LARGEST = 4
"""A box to begin with is at most so many times as wide and high as its image."""


def follow(network: Network, previous: Image, boxes: Ordered[Box], image: Image) -> list[Box]:
    """Where the objects that were at ``boxes`` in the previous image are in this one.

    One pass of the network for all of them. The target is cut around each box from the previous
    image, the search crop around the same box from this one; both images are (H, W, 3) uint8, BGR,
    of any sizes.
    """
    if not boxes:
        return []
    crops = [Crop.around(box, image) for box in boxes]
    targets = _inputs(network, previous, [Crop.around(box, previous) for box in boxes])
    answers = network(targets, _inputs(network, image, crops))
    found = [Box(*map(float, answer)) for answer in answers]
    return [
        # Clipping would make the whole image of NaN, as it does in the original.
        crop.to_image(box) if box.is_finite else box
        for crop, box in zip(crops, found, strict=True)
    ]


def _inputs(network: Network, image: Image, crops: Ordered[Crop]) -> Tensor:
    """The crops as the network takes them, made on its device."""
    if network.like.is_cpu:
        return torch.from_numpy(np.stack([planes(c.cut(image), network.size) for c in crops]))
    return device_crops(image, crops, network.size, network.like.device)


class MultiTracker:
    """Several objects, one network, one batch a frame.

    weights
        a file that ``Network.load`` reads, or a network, which trackers may share
    model, device, precision
        are handed to ``Network.load``
    threads
        how many of the processor's cores torch uses, in this whole process
    """

    def __init__(
        self,
        weights: str | PathLike[str] | Network,
        *,
        model: str | PathLike[str] | None = None,
        device: str | torch.device = "cpu",
        precision: str = "float32",
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.network = (
            weights
            if isinstance(weights, Network)
            else Network.load(weights, model, device=device, precision=precision)
        )
        self.boxes: list[Box] = []
        """Where the objects are, in doubles, in the order in which they were given."""
        self._previous: Image | None = None

    def init(self, image: Image, boxes: Ordered[Box | Ordered[float]]) -> None:
        """Begin with the objects at ``boxes``, each a Box or (x, y, width, height).

        Raises BoxError for one that nothing can be tracked with.
        """
        image = _checked(image)
        self.boxes = [usable_box(box, image) for box in boxes]
        self._previous = image.copy()

    def update(self, image: Image) -> list[tuple[bool, Corners]]:
        """For each object, whether it is still there, and its box (x, y, width, height).

        GOTURN has no confidence: it is False only when the box left the image or has no extent.
        The object is followed on all the same, as the original does, and may come back.
        """
        if self._previous is None:
            raise BoxError("the tracker has no object yet; call init(image, boxes) first")
        image = _checked(image)
        found = follow(self.network, self._previous, self.boxes, image)
        self.boxes = [
            new if new.is_finite else old for new, old in zip(found, self.boxes, strict=True)
        ]
        self._previous = image.copy()
        return [(is_inside(box, image), box.to_xywh()) for box in found]


class Tracker:
    """One object, with the interface of OpenCV's TrackerGOTURN.

    >>> tracker = Tracker("tracker.caffemodel")      # doctest: +SKIP
    >>> tracker.init(image, (x, y, width, height))   # doctest: +SKIP
    >>> ok, (x, y, width, height) = tracker.update(image)   # doctest: +SKIP

    The arguments are those of ``MultiTracker``.
    """

    def __init__(
        self,
        weights: str | PathLike[str] | Network,
        *,
        model: str | PathLike[str] | None = None,
        device: str | torch.device = "cpu",
        precision: str = "float32",
        threads: int | None = None,
    ) -> None:
        self._all = MultiTracker(
            weights, model=model, device=device, precision=precision, threads=threads
        )

    @property
    def network(self) -> Network:
        """The network, for other trackers to share."""
        return self._all.network

    @property
    def box(self) -> Box:
        """Where the object is, in doubles."""
        if not self._all.boxes:
            raise BoxError("the tracker has no object yet; call init(image, box) first")
        return self._all.boxes[0]

    def init(self, image: Image, box: Box | Ordered[float]) -> None:
        """Begin with the object at ``box``, a Box or (x, y, width, height), in ``image``.

        image    (H, W, 3) uint8, BGR

        Raises BoxError for a box outside the image, empty, or not of numbers.
        """
        self._all.init(image, [box])

    def update(self, image: Image) -> tuple[bool, Corners]:
        """Whether the object is still there, and its box (x, y, width, height) in ``image``.

        GOTURN has no confidence: it is False only when the box left the image or has no extent.
        """
        if not self._all.boxes:
            raise BoxError("the tracker has no object yet; call init(image, box) first")
        return self._all.update(image)[0]


def is_inside(box: Box, image: Image) -> bool:
    """Whether a box has an extent and shares pixels with the image."""
    height, width = image.shape[:2]
    inside = box.x1 < width and box.y1 < height and box.x2 > 0 and box.y2 > 0
    return inside and box.is_usable


def usable_box(box: Box | Ordered[float], image: Image) -> Box:
    """A box to begin with; BoxError, in words, if nothing can be tracked with it."""
    if not isinstance(box, Box):
        values = [float(value) for value in box]
        if len(values) != 4:
            raise BoxError(f"a box is x, y, width, height, got {len(values)} numbers")
        box = Box.from_xywh(*values)
    height, width = image.shape[:2]
    text = "x {:g}, y {:g}, width {:g}, height {:g}".format(*box.to_xywh())
    if not box.is_finite:
        raise BoxError(f"the box ({text}) is not of finite numbers")
    if not box.is_usable:
        raise BoxError(f"the box ({text}) is empty: width and height must be above 0")
    if not is_inside(box, image):
        raise BoxError(f"the box ({text}) lies outside the image, which is {width} x {height}")
    if box.width > LARGEST * width or box.height > LARGEST * height:
        raise BoxError(
            f"the box ({text}) is more than {LARGEST} times as large as the image, "
            f"which is {width} x {height}"
        )
    return box


def _checked(image: Image) -> Image:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise BoxError(
            f"a frame is (H, W, 3) uint8, BGR, as OpenCV reads it; got {image.dtype} {image.shape}"
        )
    return image
