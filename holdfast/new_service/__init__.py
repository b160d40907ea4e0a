"""`holdfast new service`: a new context in every place that must know it, or no change at all."""
