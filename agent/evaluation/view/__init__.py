"""An agent at work, for people: in a window that they can reach into, or written down."""
