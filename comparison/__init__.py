"""Architectures beside what their authors published; no part of the main job."""
