"""The one place that talks to Kaggle."""
