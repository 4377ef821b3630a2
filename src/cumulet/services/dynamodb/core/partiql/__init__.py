"""PartiQL, as far as DynamoDB speaks it: text to statements to plans. Pure."""
