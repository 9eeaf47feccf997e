"""BatchNorm's eps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis

USUAL = (1e-5, 1e-3, 1e-4, 1e-6, 2e-5, 1e-7, 1e-8, 1e-2, 1e-12, 0.0)


@hypothesis("batchnorm-eps")
def batchnorm_eps(state: State) -> Iterator[Proposal]:
    """What is added to the variance is another number than the prototxt's."""
    calls = state.arguments(("batch_norm",), "eps")
    said = {float(eps): op for op, eps in calls}
    for part in state.of("BatchNorm"):
        eps = part.param.batch_norm_param.eps
        for value in (*said, *USUAL):
            if np.float32(value) == np.float32(eps):
                continue
            op = said.get(value)
            yield Proposal(
                layers=(part.name,),
                code=f"Your code adds {value:g} to the variance.",
                caffe=f"Caffe adds {eps:.6g}, the eps of the prototxt (1e-5 where it gives none).",
                fix=f"nn.BatchNorm2d({part.blobs[0].numel()}, eps={eps:.6g})",
                parts=state.swapped(part, part.changed(batch_norm_param__eps=value)),
                op=op,
                evidence={"port": value, "caffe": eps},
                cost=0.0 if op is not None else 1.0,
            )
