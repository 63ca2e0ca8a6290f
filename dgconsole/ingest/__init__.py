"""Destinations of finished chunk files."""
