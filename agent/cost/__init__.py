"""What an imagined future costs."""
