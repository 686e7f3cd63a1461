"""The pictures. Arrays and tables in, PNG and SVG files out."""

from pipeline import environment

environment.use_own_matplotlib()

import matplotlib  # noqa: E402

matplotlib.use("Agg")
