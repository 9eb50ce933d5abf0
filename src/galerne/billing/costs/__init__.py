"""What use cost: usage records rated by the price lists, summed in the database."""
