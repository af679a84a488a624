"""Whether an intent may be carried out now, later, or never."""
