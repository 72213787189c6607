"""Scan and Loop: a recurrent layer whose cell comes from the body."""
