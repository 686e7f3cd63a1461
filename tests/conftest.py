"""What all tests share."""

pytest_plugins = ["tests.kaggle_fixtures"]
