"""Predictors of the next embedding, one file each."""
