"""``python -m torchcaffe``."""

from torchcaffe.cli import main

main()
