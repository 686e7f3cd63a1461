"""From Kaggle's Digit Recognizer archive to a checked submission and the errors behind it."""

import os

# ONNX Runtime would write to the home directory and send usage data to its maker. It reads this
# when it is imported, which is always later than this line.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Rich takes this for the width, also the 0 of a terminal without a size, and then prints nothing.
if not os.environ.get("COLUMNS", "1").strip("0"):
    del os.environ["COLUMNS"]
