"""What embeddings are used for: jobs that bring encoders and datasets together."""
