"""The variational autoencoder: its network, its objective, how good it is, and its files."""
