"""Collections of pictures that can be searched."""
