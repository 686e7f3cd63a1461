"""A row of ``runs.csv`` as a run leaves it, made by hand."""

from comparison.table import Row

ROW = Row(
    network="dense_baseline",
    recipe="author",
    fraction=1.0,
    fold=0,
    seed=0,
    sample=False,
    parameters=101_770,
    multiply_adds=101_632,
    training_images=400,
    epochs=5,
    fitted_images=2_000,
    seconds=12.5,
    upper_bound=False,
    machine="a processor",
    backend="tensorflow 2.21.0, keras 3.15.1",
    dtype="float32",
    images=200,
    errors=2,
    log_loss=0.03125,
    predictions="0" * 12,
    network_code="1" * 12,
    training_code="2" * 12,
    settings="3" * 12,
    data="4" * 12,
    misclassified="7:3 9:4",
)
