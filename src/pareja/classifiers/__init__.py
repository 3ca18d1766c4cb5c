"""Classifiers: embeddings of pictures in, probabilities of labels out."""
