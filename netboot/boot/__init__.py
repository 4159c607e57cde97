"""What a client boots, and how its boot went: choices and conclusions, all pure but the template loader."""
