"""Where bytes come in and go out: sockets, hosts and the pipeline that answers AWS requests."""
