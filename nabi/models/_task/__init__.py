"""What every ready system has in common: settings, files, training, reports."""
