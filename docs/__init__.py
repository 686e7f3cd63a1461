"""The documentation: pages, the hook that writes the reference, the command that draws pictures."""
