"""Keras networks: imported, loaded, described and exported."""
