"""The working tree: what is in it, what it should be, and how to get there."""
