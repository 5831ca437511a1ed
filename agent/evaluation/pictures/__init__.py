"""Pictures of what an agent sees, imagines and strives for, for people."""
