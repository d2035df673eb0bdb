"""Large values beside a store: what stands in their place, and where they are kept."""
