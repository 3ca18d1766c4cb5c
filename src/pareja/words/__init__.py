"""What reports, pages and notebooks say, in Spanish and English: sentences, numbers, text spans."""
