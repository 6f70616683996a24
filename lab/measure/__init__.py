"""Guest + payload -> result; results -> verdict."""
