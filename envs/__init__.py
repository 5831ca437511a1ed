"""Simulated robots: Gymnasium, MuJoCo and NumPy. Importing this package registers its tasks."""

from envs.registration import register_envs

register_envs()
