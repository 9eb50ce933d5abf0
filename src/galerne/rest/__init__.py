"""The API's vocabulary: errors, subjects, pagination, idempotency, and how endpoints get services."""
