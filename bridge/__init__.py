"""The bridge: islands that never met share genomes over ZeroMQ. ``docs/bridge.md`` has the protocol."""
