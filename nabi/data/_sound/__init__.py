"""Sound: WAV files and streams, other rates, folders of recordings."""
