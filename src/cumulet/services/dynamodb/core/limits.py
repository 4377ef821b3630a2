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
PLACEHOLDER_BYTES_MAX = 255
SUBSTITUTES_BYTES_MAX = 2 * 1024 * 1024
"""All names and values of one request's placeholders together."""
IN_OPERANDS_MAX = 100
# "PartiQL arithmetic, comparison, and logical operators for DynamoDB", developer guide: IN.
STATEMENT_READS_MAX = 50
"""Reads by key that a SELECT comes to: one for each partition key that it names, or more."""
STATEMENT_READS_PER_PAGE = 10

PAGE_BYTES_MAX = 1024 * 1024
BATCH_GET_KEYS_MAX = 100
BATCH_GET_BYTES_MAX = 16 * 1024 * 1024
BATCH_WRITE_REQUESTS_MAX = 25

# "Amazon DynamoDB Transactions: how it works", developer guide.
TRANSACTION_BYTES_MAX = 4 * 1024 * 1024
TOKEN_MS = 10 * 60 * 1000
TOKENS_SWEPT_MAX = 1000
"""Ours: how many transaction tokens one step forgets."""
TOKENS_SWEEP_S = 60.0
"""Ours: how often tokens are looked for that no longer count."""

READ_UNIT_BYTES = 4096
BURST_S = 300
"""So many seconds of unused capacity are kept for bursts ("Burst and adaptive capacity", developer guide)."""
WRITE_UNIT_BYTES = 1024

TABLE_NAME_CHARACTERS_MIN = 3
TABLE_NAME_CHARACTERS_MAX = 255
TABLES_MAX = 2500
TABLES_CHANGED_AT_ONCE_MAX = 500
RESTORES_AT_ONCE_MAX = 50
"""In one account and region."""
LOCAL_INDEXES_MAX = 5
GLOBAL_INDEXES_MAX = 20
INDEX_HASH_ATTRIBUTES_MAX = 4
INDEX_RANGE_ATTRIBUTES_MAX = 4
PROJECTED_ATTRIBUTES_MAX = 100
"""Attributes named by INCLUDE projections, over all indexes of a table; one index names at most 20."""
ITEM_COLLECTION_BYTES_MAX = 10 * 1024**3
"""A partition with its entries in local indexes. The setting `dynamodb_item_collection_bytes_max` can lower it."""

DECREASES_PER_DAY_MAX = 4
"""Of provisioned throughput; then one more in each hour without one."""
BILLING_SWITCHES_PER_DAY_MAX = 4
"""To on-demand, in 24 hours."""
KEY_CHANGES_MAX = 4
KEY_CHANGES_MS = 24 * 60 * 60 * 1000
KEY_CHANGES_PAUSE_MS = 6 * 60 * 60 * 1000
"""So often the encryption key of a table may change in so long a time; then once more after each such pause."""
CLASS_CHANGES_MAX = 2
CLASS_CHANGES_MS = 30 * 24 * 60 * 60 * 1000
"""So often the class of a table may change in so long a time."""
ON_DEMAND_READ_UNITS = 12_000
ON_DEMAND_WRITE_UNITS = 4_000
"""What a new on-demand table serves at once."""

COUNTED_PAGE = 1000
"""Ours: how many items are counted at once, and for whatever describes a table."""
COUNTED_FRESH_MAX = 10_000
"""Ours: up to so many, what DescribeTable tells is counted each time."""
COUNTED_KEPT_MS = 6 * 60 * 60 * 1000
"""How old the figures of larger tables may be (TableDescription, API reference: "approximately every six hours")."""

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
STREAM_SWEEP_S = 5.0
"""Ours: how often streams are tended that nobody reads."""

# "Using time to live (TTL) in DynamoDB", developer guide.
EXPIRY_YEARS_S = 5 * 366 * 24 * 60 * 60
"""A time further back than five years expires nothing."""
EXPIRY_S_MAX = 253_402_300_799
"""Ours: the end of the year 9999. What expires later does not expire."""
EXPIRY_STEP_ITEMS_MAX = 500
"""Ours: how many items one transaction puts into the index of those that expire."""
EXPIRED_STEP_ITEMS_MAX = 100
"""Ours: how many expired items one transaction deletes."""
EXPIRY_SWEEP_S = 1.0
"""Ours: how often expired items are looked for."""

# "Point-in-time recovery for DynamoDB" and "Backup and restore for DynamoDB", developer guide.
RECOVERY_DAYS_MAX = 35
BACKUPS_LISTED_MAX = 100
SYSTEM_BACKUP_MS = 35 * 24 * 60 * 60 * 1000
"""How long the backup of a deleted table is kept (BackupDetails, API reference)."""
RECOVERY_SWEEP_S = 3600.0
"""Ours: how often what lies behind the recovery windows is removed."""
COPY_STEP_ITEMS_MAX = 500
COPY_STEP_BYTES_MAX = 2 * 1024 * 1024
"""Ours: what one transaction of a backup or a restore copies, about."""
ERASED_STEP_RECORDS_MAX = 250
ERASED_STEP_BYTES_MAX = 2 * 1024 * 1024
"""Ours: what one transaction removes of what was deleted, about: some milliseconds of work."""

# "Quotas in Amazon DynamoDB", developer guide: the default quotas, as DescribeLimits tells them. A table's count its
# global indexes in.
ACCOUNT_UNITS_MAX = 80_000
TABLE_UNITS_MAX = 40_000
RESOURCE_POLICY_BYTES_MAX = 20 * 1024
INSIGHTS_LISTED_MAX = 100
ENDPOINT_CACHE_MINUTES = 1440
"""What DescribeEndpoints says on AWS."""

# "DynamoDB data export to Amazon S3" and "DynamoDB data import from Amazon S3", developer guide.
TRANSFER_TOKEN_MS = 8 * 60 * 60 * 1000
"""How long the client token of an export or import counts."""
TRANSFERS_KEPT_MS = 90 * 24 * 60 * 60 * 1000
"""How long they are listed."""
TRANSFERS_LISTED_MAX = 25
EXPORT_PERIOD_MS_MIN = 15 * 60 * 1000
EXPORT_PERIOD_MS_MAX = 24 * 60 * 60 * 1000
"""How long a time an incremental export may be about."""
EXPORT_FILE_BYTES_MAX = 8 * 1024 * 1024
"""Ours: how much of a table goes into one file, before it is compressed."""
IMPORT_RECORD_BYTES_MAX = 4 * 1024 * 1024
"""Ours: no item is longer than that in any format."""
IMPORT_STEP_ITEMS_MAX = 500
"""Ours: how many items one transaction imports."""
IMPORT_READ_BYTES = 1024 * 1024
"""Ours: how much of an object is read at once."""
TRANSFER_S = 60.0
"""Ours: how often exports and imports that nobody hinted at are looked for."""

# "Vector indexes" in "Quotas in Amazon DynamoDB", developer guide.
VECTOR_INDEXES_MAX = 5
VECTOR_DIMENSIONS_MAX = 4096
VECTOR_FILTERS_MAX = 20
"""Ours: AWS counts them among the attributes that a projection may name."""
VECTOR_RESULTS_MAX = 100
VECTOR_RESPONSE_BYTES_MAX = 16 * 1024 * 1024
VECTOR_WRITE_BYTES_MIN = 1024
"""What the smallest change of a vector index is billed (Parity Suite, recorded on AWS)."""
VECTOR_PAGE_ENTRIES = 250
"""Ours: how many vectors a search looks at before other requests have their turn: some milliseconds of work."""
