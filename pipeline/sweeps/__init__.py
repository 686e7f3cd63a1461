"""Settings searched for: ``digits sweep SPACE.yaml`` (docs/sweeps.md).

Optuna proposes, some folds choose, and the other folds tell whether the choice is any better.
"""
