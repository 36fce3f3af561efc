"""What must hold beside numbers: structure, promises of the engine, draws, the prior, −ELBO."""
