"""Other people's robots as tasks, one file a kind."""
