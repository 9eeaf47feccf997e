"""Diagnose every planted port and count: recall, precision, false alarms.

The ports are those of tests/planted and of tests/diagnosis/training. Writes
docs/diagnose-suite.json, from which "make docs" makes the table in docs/diagnose.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.progress import track

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from planted.nets import reference  # noqa: E402
from planted.suite import CASES, Case  # noqa: E402
from torchcaffe import diagnose  # noqa: E402
from torchcaffe.net import CaffeNet  # noqa: E402
from torchcaffe.proto import replacing  # noqa: E402

RESULTS = ROOT / "docs" / "diagnose-suite.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this; writes nothing")
    only = parser.parse_args().only
    found: dict[str, dict[str, Any]] = {}
    nets: dict[str, CaffeNet] = {}
    for case in track([case for case in CASES if only in str(case)], "ports"):
        net = nets.setdefault(case.architecture, reference(case.architecture))
        found[str(case)] = result = run(case, net)
        if sorted(result["found"]) != sorted(case.bugs) or result["unexplained"]:
            print(f"{case}: {result}", flush=True)
    if not only:
        found |= trained()
        with replacing(RESULTS) as file:
            file.write((json.dumps(found, indent=1) + "\n").encode())
    right = sum(sorted(r["found"]) == sorted(r["planted"]) for r in found.values())
    print(f"{right} of {len(found)} ports: exactly the planted causes")


def run(case: Case, net: CaffeNet) -> dict[str, Any]:
    """What is found in a port."""
    torch.manual_seed(1701)
    started = time.perf_counter()
    answer = diagnose(case.build(net), net)
    return {
        "planted": list(case.bugs),
        "found": list(answer.identifiers),
        "unexplained": len(answer.unexplained),
        "seconds": round(time.perf_counter() - started, 1),
    }


def trained() -> dict[str, dict[str, Any]]:
    """What the tests of ports' training find in theirs."""
    pytest.main(["-q", "-p", "no:xdist", str(ROOT / "tests" / "diagnosis" / "training")])
    from diagnosis.training.ports import COUNTED

    return {
        f"training-{number}-{'+'.join(planted)}".strip("-"): {
            "planted": list(planted),
            "found": list(found),
            "unexplained": unexplained,
        }
        for number, (planted, found, unexplained) in enumerate(COUNTED)
    }


if __name__ == "__main__":
    main()
