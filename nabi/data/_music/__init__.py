"""Notes, MIDI files and frames of notes."""
