"""Training: batches of rows, run by a native loop, and what a user sees of it."""
