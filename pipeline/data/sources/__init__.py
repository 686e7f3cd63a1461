"""Where the competition's two CSVs can come from."""
