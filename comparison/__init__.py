"""Architectures beside what their authors published; no part of the main job."""

from pipeline import environment

environment.use_own_matplotlib()
