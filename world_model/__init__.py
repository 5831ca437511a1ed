"""Learned dynamics: a joint-embedding predictive architecture, in torch alone."""
