"""DynamoDB's operations: a heavy one has a file of its own, the control plane is in `tables`."""
