"""Tissue maps to MR and CT contrasts by signal equations: sample data and training data."""
