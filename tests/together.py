"""Which tests one process runs, one after the other: they share what takes long to make, or need the machine.

xdist has marks for that, which since pytest 9.2 say nothing: they change names that tests no longer have.
"""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "tests/clients/test_browser.py": "a browser",
    "tests/crash/test_cluster.py": "load",
    "tests/crash/test_lambda_load.py": "load",
    "tests/e2e/test_demo.py": "the notes",
    "tests/e2e/test_libraries.py": "libraries",
    "tests/e2e/test_notes.py": "the notes",
}


class Together(LoadScopeScheduling):
    """Gives each test to whichever process is free, and those above to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(nodeid.partition("::")[0], nodeid)
