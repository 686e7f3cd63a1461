"""Submission files, the log of uploads, and sending one."""
