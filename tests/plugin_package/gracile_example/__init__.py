"""A network, a loss and a measure for Gracile."""
