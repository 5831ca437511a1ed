"""What a world model cannot know in advance: a latent variable tells its several plausible futures apart."""
