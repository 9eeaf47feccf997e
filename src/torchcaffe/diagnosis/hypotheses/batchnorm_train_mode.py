"""BatchNorm's statistics: the batch's or the stored ones."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis


@hypothesis("batchnorm-train-mode")
def batchnorm_train_mode(state: State) -> Iterator[Proposal]:
    """The batch's own mean and variance are used where Caffe uses the stored ones."""
    calls = state.arguments(("batch_norm",), "training")
    op = next((op for op, training in calls if training), None)
    for part in state.of("BatchNorm"):
        yield Proposal(
            layers=(part.name,),
            code="Your code normalises with the batch's own mean and variance (training mode).",
            caffe="Caffe uses the stored mean and variance in phase TEST.",
            fix="port.eval()  # before it is run; and training=False in functional.batch_norm",
            parts=state.swapped(part, part.changed(batch_norm_param__use_global_stats=False)),
            op=op,
            cost=0.0 if op is not None else 2.0,
        )
