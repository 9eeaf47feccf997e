"""LRN's alpha, which Caffe divides by the size of the window."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import rounded
from torchcaffe.diagnosis.reference import Part
from torchcaffe.layers.lrn import window_sums


@hypothesis("lrn-alpha")
def lrn_alpha(state: State) -> Iterator[Proposal]:
    """LRN's alpha is another than Caffe's, most often for want of the division by local_size."""
    for part in state.of("LRN"):
        p = part.param.lrn_param
        size = p.local_size ** (2 if p.norm_region == "WITHIN_CHANNEL" else 1)
        calls = state.arguments(("local_response_norm",), "alpha")
        said = {float(alpha): op for op, alpha in calls}
        guesses = [p.alpha * size, p.alpha / size, *said, *_fitted(state, part), 1e-4, 1.0]
        for alpha in guesses:
            if abs(alpha - p.alpha) < 1e-7 * p.alpha or alpha < 0:
                continue
            op = said.get(alpha) or state.call("local_response_norm", "pow", "div")
            times = alpha / p.alpha
            yield Proposal(
                layers=(part.name,),
                code=(
                    f"Your code weighs the sum of squares by {alpha / size:.6g}, as an alpha of "
                    f"{alpha:.6g} would ({times:.4g} times Caffe's)."
                ),
                caffe=(
                    f"Caffe divides alpha = {p.alpha:.6g} by the {size} elements of the window and "
                    f"weighs the sum by {p.alpha / size:.6g}."
                ),
                fix=f"nn.LocalResponseNorm({p.local_size}, alpha={p.alpha:g}, beta={p.beta:g}, "
                f"k={p.k:g})  # torch divides by the size too",
                parts=state.swapped(part, part.changed(lrn_param__alpha=alpha)),
                op=op,
                evidence={"port": alpha, "caffe": p.alpha, "size": size},
                cost=0.0 if alpha in said or times in (size, 1 / size) else 0.5,
            )


def _fitted(state: State, part: Part) -> list[float]:
    """The alpha that fits the port's output best, where the LRN is the segment's last layer."""
    if part is not state.parts[-1] or part.param.lrn_param.norm_region != "ACROSS_CHANNELS":
        return []
    p = part.param.lrn_param
    x, y = state.bottoms(part)[0].double(), state.port.double()
    if x.shape != y.shape:
        return []
    sums = window_sums(x * x, p.local_size, (1,))
    use = (y.abs() > 1e-6) & (sums > sums.mean())
    if not bool(use.any()):
        return []
    ratio = (x[use] / y[use]).pow(1 / p.beta) - p.k
    alpha = float((ratio * sums[use]).sum() / sums[use].square().sum()) * p.local_size
    return rounded(alpha, 3, 2, 1) if alpha > 0 else []
