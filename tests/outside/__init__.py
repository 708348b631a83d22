"""Programs that others wrote, against the service as it is served: schemathesis, a linter, TypeScript, wrk, slowhttptest, Chromium, nginx."""
