"""What must hold beside numbers: structure, and the promises of the native engine."""
