"""CloudWatch Logs: groups of streams of events, read one by one, merged and searched.

Not here: subscriptions, metric filters, Insights queries and Live Tail.
"""

from cumulet.services.kit import Ground, Service, Unavailable


def build(ground: Ground) -> Service:
    """Return the service. Its live part sweeps; who follows a log asks again when the store hints at `logs`."""
    from cumulet.services.kit import collect
    from cumulet.services.logs import events, groups, retention, search, streams, tags
    from cumulet.services.logs.arns import tags_of

    # AWS answers a denied caller of this service with status 400.
    return Service(
        "logs",
        collect(events, groups, retention, search, streams, tags),
        iam_prefix="logs",
        denied_status=400,
        unavailable=Unavailable("ServiceUnavailableException", 500, "The service cannot complete the request."),
        plane=retention.LogsPlane(ground),
        tags_of=tags_of,
    )
