"""What recipes show and write when they have learned: pictures, figures, scores."""
