"""Simulated robots: Gymnasium, MuJoCo and NumPy."""
