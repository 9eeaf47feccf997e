"""``python -m goturn``."""

from goturn.cli import main

main()
