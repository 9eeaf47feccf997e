"""Golden cases of codegen: a prototxt above ``# output``, the expected source below.

``python tests/codegen/cases.py`` writes the outputs anew; read the difference before committing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from torchcaffe import proto
from torchcaffe.codegen import print_net
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import NetParameter

FOLDER = Path(__file__).parent.parent / "cases" / "codegen"
MARK = "\n# output\n"


@dataclass(frozen=True)
class CodegenCase:
    """One file: what goes in, what comes out."""

    name: str
    prototxt: str
    output: str


def read_cases() -> list[CodegenCase]:
    """Every case, sorted by name."""
    cases = []
    for path in sorted(FOLDER.glob("*.txt")):
        prototxt, _, output = path.read_text(encoding="utf-8").partition(MARK)
        cases.append(CodegenCase(path.stem, prototxt, output))
    return cases


def build(prototxt: str, phase: str = "TEST") -> CaffeNet:
    """The net, every parameter and statistic a fixed random number."""
    net = CaffeNet(proto.parse_text(prototxt, NetParameter, "case.prototxt"), phase, seed=1701)
    randomise(net)
    return net


def randomise(net: CaffeNet) -> None:
    """Numbers of either sign in the parameters, positive ones in the statistics."""
    generator = np.random.default_rng(1701)
    with torch.no_grad():
        for parameter in net.parameters():
            values = generator.standard_normal(tuple(parameter.shape)) * 0.2
            parameter.copy_(torch.from_numpy(values))
        for buffer in net.buffers():
            buffer.copy_(torch.from_numpy(generator.uniform(0.5, 1.5, tuple(buffer.shape))))


if __name__ == "__main__":
    for case in read_cases():
        source = print_net(build(case.prototxt)).source
        (FOLDER / f"{case.name}.txt").write_text(case.prototxt + MARK + source, encoding="utf-8")
