"""Entry points; Hydra lives here and nowhere else."""
