"""What plugin authors and checks use: golden vectors."""
