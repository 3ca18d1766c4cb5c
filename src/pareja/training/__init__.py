"""Training: adapting an encoder to somebody's own pictures, and measuring what that changed."""
