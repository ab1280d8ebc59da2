"""Running it: the `tidemark` command, the embedded servers, the demo, the replay of a fleet."""
