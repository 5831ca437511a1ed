"""Trajectory optimisers: they minimise a function of actions, and know nothing else."""
