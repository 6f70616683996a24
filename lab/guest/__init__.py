"""Build + GuestSpec -> a running guest."""
