"""Dynamics: where an action leads in embedding space, one file each."""
