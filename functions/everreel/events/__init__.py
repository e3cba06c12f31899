"""What everreel tells the world: the bus port and its adapters."""
