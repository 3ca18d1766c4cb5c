"""What a student hands in: the document of her own, and the whole delivery with its check."""
