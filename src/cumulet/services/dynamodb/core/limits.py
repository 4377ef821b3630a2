"""DynamoDB's limits, with AWS's numbers.

Source: "Quotas in Amazon DynamoDB", developer guide, unless a line says otherwise.
"""

ITEM_BYTES_MAX = 400 * 1024
HASH_KEY_BYTES_MAX = 2048
RANGE_KEY_BYTES_MAX = 1024
NESTING_DEPTH_MAX = 32
ATTRIBUTE_NAME_BYTES_MAX = 65_535

NUMBER_DIGITS_MAX = 38
# A number is 0.d1d2d3... times ten to the power of its exponent: 1E-130 has exponent -129, 9.9E+125 has 126.
NUMBER_EXPONENT_MIN = -129
NUMBER_EXPONENT_MAX = 126

EXPRESSION_BYTES_MAX = 4096
EXPRESSION_OPERATORS_MAX = 300
IN_OPERANDS_MAX = 100

PAGE_BYTES_MAX = 1024 * 1024
BATCH_GET_KEYS_MAX = 100
BATCH_GET_BYTES_MAX = 16 * 1024 * 1024
BATCH_WRITE_REQUESTS_MAX = 25

READ_UNIT_BYTES = 4096
WRITE_UNIT_BYTES = 1024

TABLE_NAME_CHARACTERS_MIN = 3
TABLE_NAME_CHARACTERS_MAX = 255
LOCAL_INDEXES_MAX = 5
GLOBAL_INDEXES_MAX = 20
INDEX_HASH_ATTRIBUTES_MAX = 4
INDEX_RANGE_ATTRIBUTES_MAX = 4
PROJECTED_ATTRIBUTES_MAX = 100
"""Attributes named by INCLUDE projections, over all indexes of a table; one index names at most 20."""
ITEM_COLLECTION_BYTES_MAX = 10 * 1024**3
"""A partition with its entries in local indexes. The setting `dynamodb_item_collection_bytes_max` can lower it."""

LIST_TABLES_MAX = 100
TAGS_MAX = 50

# "Change data capture for DynamoDB Streams", developer guide; GetShardIterator and GetRecords, API reference.
STREAM_RETENTION_MS = 24 * 60 * 60 * 1000
STREAM_ITERATOR_MS = 15 * 60 * 1000
STREAM_PAGE_RECORDS_MAX = 1000
STREAM_PAGE_BYTES_MAX = 1024 * 1024
STREAM_LISTED_MAX = 100
STREAM_SHARDS_MAX = 100
"""Ours: as many as DescribeStream describes at once."""
STREAM_SETTLED_MAX = 1000
"""Ours: how many changes one transaction puts in order, or trims."""
