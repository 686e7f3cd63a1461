"""Runs as DVC and Git know them: the workspace, commits, experiments; what is out of date."""
