"""Rows placed into chunk and overlap files in the form that the database loads."""
