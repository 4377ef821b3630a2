"""Container images for tests, which podman makes in a storage of its own of one small program that needs nothing."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

TIMEOUT_S = 120

PROGRAM = r"""
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536], told[65536];
static size_t said;

static void say(const char *text) {
    for (; *text && said < sizeof told - 8; text++) {
        if (*text == '"' || *text == '\\') told[said++] = '\\';
        told[said++] = (unsigned char)*text < ' ' ? ' ' : *text;
    }
}

static char *receive(int line) {
    size_t size = 0;
    char *body = 0;
    long length = -1;
    while (!body || size < (size_t)(body - buffer) + length) {
        ssize_t more = recv(line, buffer + size, sizeof buffer - 1 - size, 0);
        if (more <= 0) exit(0);
        size += more;
        buffer[size] = 0;
        if (!body && (body = strstr(buffer, "\r\n\r\n"))) {
            body += 4;
            length = atol(strcasestr(buffer, "content-length:") + 15);
        }
    }
    return body;
}

static int dial(void) {
    char host[64];
    int port;
    sscanf(getenv("AWS_LAMBDA_RUNTIME_API"), "%63[^:]:%d", host, &port);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &to.sin_addr);
    int line = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(line, (struct sockaddr *)&to, sizeof to)) exit(1);
    return line;
}

static void ask(int line, const char *head, const char *body) {
    char request[140000];
    int size = snprintf(request, sizeof request, "%s\r\nHost: runtime\r\nContent-Length: %zu\r\n\r\n%s", head,
                        strlen(body), body);
    send(line, request, size, 0);
}

static void act(const char *what, char *where, int count, char **words) {
    if (!strcmp(what, "words")) {
        for (int n = 0; n < count; n++) { say(words[n]); say(" "); }
    } else if (!strcmp(what, "place")) {
        char place[4096];
        say(getcwd(place, sizeof place));
    } else if (!strcmp(what, "variable")) {
        say(getenv(where) ? getenv(where) : "(none)");
    } else if (!strcmp(what, "list")) {
        DIR *folder = opendir(where);
        struct dirent *entry;
        if (!folder) { say(strerror(errno)); return; }
        while ((entry = readdir(folder))) if (entry->d_name[0] != '.') { say(entry->d_name); say(" "); }
        closedir(folder);
    } else {
        int file = open(where, !strcmp(what, "read") ? O_RDONLY : O_WRONLY | O_CREAT, 0600);
        char text[4096] = "written";
        if (file < 0) { say(strerror(errno)); return; }
        if (!strcmp(what, "read")) text[read(file, text, sizeof text - 1)] = 0;
        say(text);
        close(file);
    }
}

static void extend(const char *name, int line) {
    char head[512];
    snprintf(head, sizeof head, "POST /2020-01-01/extension/register HTTP/1.1\r\nLambda-Extension-Name: %s", name);
    ask(line, head, "{\"events\": [\"INVOKE\"]}");
    receive(line);
    char id[128];
    sscanf(strcasestr(buffer, "lambda-extension-identifier:") + 28, " %127[^\r]", id);
    for (;;) {
        const char *next = "GET /2020-01-01/extension/event/next HTTP/1.1\r\nLambda-Extension-Identifier: %s";
        snprintf(head, sizeof head, next, id);
        ask(line, head, "");
        receive(line);
        printf("%s saw an event\n", name);
        fflush(stdout);
    }
}

int main(int count, char **words) {
    const char *name = strrchr(words[0], '/') ? strrchr(words[0], '/') + 1 : words[0];
    int line = dial();
    if (!strcmp(name, "agent")) extend(name, line);
    for (;;) {
        char id[64], what[16] = "", where[256] = "", head[512];
        ask(line, "GET /2018-06-01/runtime/invocation/next HTTP/1.1", "");
        char *event = receive(line);
        sscanf(strcasestr(buffer, "lambda-runtime-aws-request-id:") + 30, " %63[^\r]", id);
        sscanf(event, "\"%15[a-z] %255[^\"]", what, where);
        if (!strcmp(what, "leave")) exit(7);
        printf("asked to %s\n", what);
        fflush(stdout);
        said = 0;
        told[said++] = '"';
        act(what, where, count, words);
        strcpy(told + said, "\"");
        snprintf(head, sizeof head, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1", id);
        ask(line, head, told);
        receive(line);
    }
}
"""
"""A runtime that answers to events such as "read /etc/hosts"; as a file named agent, an extension."""


@dataclass(frozen=True)
class Engine:
    """Podman with images of the test's own."""

    folder: Path
    environ: dict[str, str]
    """What a process that is to find them needs in its environment."""
    program: Path
    """In machine code, linked statically."""

    def build(self, name: str, *lines: str, files: Mapping[str, str | Path]) -> str:
        """Make an image of files (a text, or what is copied) and lines of a Containerfile; return its digest."""
        context = self.folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        for path, content in files.items():
            file = context / "root" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copy(content, file)
            else:
                file.write_text(content)
        (context / "Containerfile").write_text("\n".join(("FROM scratch", "COPY root /", *lines)))
        try:
            self.run("build", "--quiet", "--layers=false", "--tag", name, str(context))
        except subprocess.CalledProcessError as refused:
            pytest.skip(f"podman cannot build an image here: {refused.stderr}")
        return str(json.loads(self.run("image", "inspect", name))[0]["Digest"]).removeprefix("sha256:")

    def run(self, *arguments: str) -> str:
        """Return what a command of podman's prints."""
        done = subprocess.run(
            ["podman", *arguments],
            env={**os.environ, **self.environ},
            timeout=TIMEOUT_S,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """Offer an engine whose images lie in a folder, if the machine has what it takes; else the test is skipped."""
    compiler = shutil.which("cc")
    if shutil.which("podman") is None or compiler is None:
        pytest.skip("needs podman and a C compiler")
    if os.geteuid() != 0:
        pytest.skip("needs root: functions from images run within namespaces")
    settings = folder / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n')
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run(
        [compiler, "-static", "-w", "-D_GNU_SOURCE", "-o", str(folder / "program"), str(folder / "program.c")],
        check=True,
        timeout=TIMEOUT_S,
    )
    yield Engine(folder, {"CONTAINERS_STORAGE_CONF": str(settings)}, folder / "program")
