"""The pure part of DynamoDB: values, numbers, keys, sizes, expressions. No clock, no chance, no transaction."""
