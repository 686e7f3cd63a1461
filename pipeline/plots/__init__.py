"""The pictures. Arrays and tables in, PNG and SVG files out."""

import matplotlib

matplotlib.use("Agg")
