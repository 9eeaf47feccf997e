"""Trackers measured: ``run`` writes result files, ``report`` makes numbers of them.

::

    for finished in run(make_tracker, sequences, "results/otb/mine"):
        print(finished.sequence.name)
    found = report(sequences, ["results/otb/mine"], PROTOCOLS["otb"])
"""

from goturn.evaluate import got10k, otb, vot2014
from goturn.evaluate.plots import draw
from goturn.evaluate.protocol import Curve, Protocol, Scores
from goturn.evaluate.reports import Report, report
from goturn.evaluate.results import Results
from goturn.evaluate.runs import Finished, Tracker, run

PROTOCOLS = {each.PROTOCOL.name: each.PROTOCOL for each in (otb, got10k, vot2014)}

__all__ = [
    "PROTOCOLS",
    "Curve",
    "Finished",
    "Protocol",
    "Report",
    "Results",
    "Scores",
    "Tracker",
    "draw",
    "report",
    "run",
]
