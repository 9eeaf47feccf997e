"""What a net consists of, as data: the rows of ``torchcaffe inspect``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torchcaffe.layers._registry import Shape
from torchcaffe.net import CaffeNet


@dataclass(frozen=True)
class LayerRow:
    """One layer: its connections, output shapes, parameter count and multiply-adds."""

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    shapes: list[Shape]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Inspection:
    """A whole net; ``parameters`` counts shared ones once."""

    name: str
    phase: str
    inputs: dict[str, Shape]
    outputs: list[str]
    layers: list[LayerRow]
    parameters: int
    multiply_adds: int

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries and lists."""
        return asdict(self)


def inspect(net: CaffeNet) -> Inspection:
    """Describe ``net`` layer by layer, splits included, at the shapes it was built for."""
    params = net.params
    rows = [
        LayerRow(
            name=step.name,
            type=step.kind.name,
            bottoms=step.bottoms,
            tops=step.tops,
            shapes=step.top_shapes,
            parameters=sum(blob.numel() for blob in params.get(step.name, [])),
            multiply_adds=step.plan.multiply_adds,
        )
        for step in net.steps
    ]
    return Inspection(
        name=net.name,
        phase=net.phase,
        inputs=net.inputs,
        outputs=net.outputs,
        layers=rows,
        parameters=sum(entry.value.numel() for entry in net.learnable),
        multiply_adds=sum(row.multiply_adds for row in rows),
    )
