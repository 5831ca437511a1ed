"""What the agent learns in embedding space, after its world model: critics, and the reactive policy."""
