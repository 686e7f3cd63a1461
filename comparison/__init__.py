"""Every architecture beside what its author published; no part of the main job."""
