"""Diagnose every planted port (tests/planted) and count: recall, precision, false alarms.

Writes docs/diagnose-suite.json, from which "make docs" writes the table in docs/diagnose.md. A run
that is broken off goes on where it was, as long as the code of the diagnosis is the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from planted.nets import reference  # noqa: E402
from planted.suite import CASES, Case  # noqa: E402
from torchcaffe import diagnose  # noqa: E402
from torchcaffe.net import CaffeNet  # noqa: E402

RESULTS = ROOT / "docs" / "diagnose-suite.json"
ROOM = ROOT / "src" / "torchcaffe" / "diagnosis"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this; writes nothing")
    parser.add_argument("--out", type=Path, default=RESULTS, help="another file for the results")
    options = parser.parse_args()
    mark = digest()
    stored = json.loads(options.out.read_text()) if options.out.exists() else {}
    found: dict[str, Any] = stored.get("cases", {}) if stored.get("code") == mark else {}
    nets: dict[str, CaffeNet] = {}
    for case in track([case for case in CASES if options.only in str(case)], "ports"):
        if str(case) in found:
            continue
        net = nets.setdefault(case.architecture, reference(case.architecture))
        found[str(case)] = result = run(case, net)
        if not options.only:
            text = json.dumps({"code": mark, "cases": dict(sorted(found.items()))}, indent=1)
            options.out.write_text(text + "\n")
        if sorted(result["found"]) != sorted(case.bugs) or result["unexplained"]:
            print(f"{case}: {result}", flush=True)
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


def digest() -> str:
    """One number for the code that answers and the ports that ask."""
    files = sorted([*ROOM.rglob("*.py"), *(ROOT / "tests" / "planted").glob("*.py")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


if __name__ == "__main__":
    main()
