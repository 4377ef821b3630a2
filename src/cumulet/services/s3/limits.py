"""S3's limits. Source: "Amazon S3 multipart upload limits", "Naming Amazon S3 objects", "Buckets quotas", "Policies and
permissions in Amazon S3" and "Cost allocation tags" of the S3 User Guide."""

BUCKETS_MAX = 10_000
KEY_BYTES_MAX = 1024
METADATA_BYTES_MAX = 2 * 1024
LIST_KEYS_MAX = 1000
DELETE_KEYS_MAX = 1000
PART_NUMBER_MAX = 10_000
POLICY_BYTES_MAX = 20 * 1024
TAGS_MAX = 50
TAG_KEY_CHARACTERS_MAX = 128
TAG_VALUE_CHARACTERS_MAX = 256
PART_BYTES_MIN = 5 * 1024 * 1024
"""Of every part but the last."""
