"""ProxyGML against other losses, all tuned alike. Its tables are in `docs/measurements.md`."""
