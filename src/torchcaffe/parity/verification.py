"""What a verification found: one row a blob, a verdict in words, JSON."""

from __future__ import annotations

from dataclasses import dataclass

from torchcaffe.parity.compare import Difference


@dataclass(frozen=True)
class Row:
    """One blob, parameter or gradient.

    ``kind`` is "parameter", "blob", "statistic" (a parameter that the forward pass changed),
    "gradient" or "parameter gradient". ``local`` compares the layer run alone on the recorded
    bottoms, ``chained`` the whole net run from the recorded inputs; None where there is no such
    view (a parameter has no local one).
    """

    kind: str
    layer: str
    type: str
    name: str
    shape: tuple[int, ...]
    local: Difference | None
    chained: Difference | None

    @property
    def passed(self) -> bool:
        """Whether all its views pass; a row without one does not."""
        views = [view for view in (self.local, self.chained) if view is not None]
        return bool(views) and all(view.passed for view in views)


@dataclass(frozen=True)
class Verification:
    """The whole comparison; ``rows`` stand in net order, parameters first, gradients last."""

    net: str
    phase: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    versions: dict[str, str]
    settings: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether something was compared and every row passes."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    @property
    def first_difference(self) -> Row | None:
        """The first row that does not pass."""
        return next((row for row in self.rows if not row.passed), None)

    @property
    def verdict(self) -> str:
        """One to three sentences that a person can quote."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Everything but the histograms, as stable JSON text."""
        raise NotImplementedError
