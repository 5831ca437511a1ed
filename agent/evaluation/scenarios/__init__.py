"""What happens to an agent in an episode beside its own doing; one file a scenario."""
