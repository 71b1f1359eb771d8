"""A bundle for other programs: the whole cascade of a model in files that they run by themselves."""
