"""What runtimes computed, compared: block by block, in numbers, node by node."""
