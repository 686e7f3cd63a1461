"""What all tests share."""

pytest_plugins = ["kaggle_fixtures"]
