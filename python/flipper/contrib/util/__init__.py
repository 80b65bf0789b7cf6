"""Small things that stores need."""
