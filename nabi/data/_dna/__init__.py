"""DNA: letters as numbers, files of sequences, labels for bases, and sequences that are made."""
