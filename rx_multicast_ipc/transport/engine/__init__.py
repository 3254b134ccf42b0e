"""Existing engines in the place of a network segment."""
