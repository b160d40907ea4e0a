"""`holdfast new service`: adds a new context everywhere, or changes nothing."""
