"""Training: a fit of anything that goes on where it was interrupted, and what a world model needs of it."""
