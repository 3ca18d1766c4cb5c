"""A workbench for picture-and-word embeddings."""
