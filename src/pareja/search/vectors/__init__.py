"""Where the vectors of a collection are, and how the nearest of them are found."""
