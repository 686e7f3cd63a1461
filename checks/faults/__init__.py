"""Every file operation fails once, or the process is killed there; then the work is done again."""
