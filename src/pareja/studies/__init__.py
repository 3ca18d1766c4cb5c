"""Whole jobs over several encoders: what to measure, in what order, and how to write it down."""
