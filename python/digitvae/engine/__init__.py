"""A bundle in the native engine: it generates, decodes, encodes and interpolates, without torch."""
