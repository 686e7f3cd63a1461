"""``python -m pipeline.cli`` is ``digits``."""

from pipeline.cli import main

main()
