"""The bare limit: an ASGI application that answers a fixed body, under the server's own uvicorn setup."""

import socket

import uvicorn

ANSWER = b'{"Item":{"pk":{"S":"bench"},"sk":{"S":"0007"},"title":{"S":"A note of the usual length"}}}'


async def echo(scope, receive, send):  # type: ignore[no-untyped-def]
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        echo, http="httptools", loop="uvloop", ws="none", lifespan="off", log_config=None, access_log=False
    )
    uvicorn.Server(config).run(sockets=[listener])
