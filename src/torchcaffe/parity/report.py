"""A verification as one HTML file that needs nothing else."""

from __future__ import annotations

from os import PathLike

from torchcaffe.parity.verification import Verification


def write_report(verification: Verification, path: str | PathLike[str]) -> None:
    """Write the report to the file ``path``; an older file there is replaced in one step.

    InputError if the folder does not exist.
    """
    raise NotImplementedError
