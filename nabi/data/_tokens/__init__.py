"""Sentences whose tokens have labels: names of people and places, parts of speech."""
