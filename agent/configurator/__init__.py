"""From task and situation to what the other modules should do."""
