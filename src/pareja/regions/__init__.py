"""Where in a picture: maps of what speaks for words, boxes around it, and detectors."""
