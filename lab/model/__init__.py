"""The vocabulary: frozen dataclasses and Protocols, no behaviour worth a test of its own."""
