"""IAM policies as pure functions: documents, matching, conditions, principals, and the decision with its reasons."""
