"""Whatever an image's tar says, nothing outside its folder comes to be, changes or goes."""

import io
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.lambda_.execution.images.engine import ImageUnfit
from cumulet.services.lambda_.execution.images.tree import unpack_tree

MODES = st.sampled_from([0o644, 0o4755, 0o000])
NAMES = st.sampled_from(["a/victim", "a/new", "a", "etc/hosts"])
TARGETS = st.sampled_from(["..", "../victim"])
LINKS = st.tuples(
    st.sampled_from(["a", "etc"]), st.sampled_from([tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]), TARGETS, MODES
)
ANY = st.tuples(
    st.sampled_from(["a", "a/b", "b", "proc", "etc"]),
    st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]),
    TARGETS,
    MODES,
)
FILES = st.tuples(NAMES, st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE]), TARGETS, MODES)
MEMBERS = st.tuples(LINKS, st.lists(ANY, max_size=3), FILES).map(lambda drawn: [drawn[0], *drawn[1], drawn[2]])
"""A way out, something else, and what might take it."""


@settings(max_examples=60, deadline=None)
@given(MEMBERS, NAMES)
def test_nothing_outside_changes(members: list[tuple[str, bytes, str, int]], working_directory: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind, target, mode in members:
            one = tarfile.TarInfo(name)
            one.type, one.mode, one.linkname = kind, mode, target
            one.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(one, io.BytesIO(b"new"))
    packed.seek(0)
    with tempfile.TemporaryDirectory(prefix="cumulet-tree-") as above:
        outer = Path(above) / "outer"
        root = outer / "root"
        root.mkdir(parents=True)
        (outer / "victim").write_text("old")
        try:
            unpack_tree(packed, root, working_directory)
        except ImageUnfit:
            pass
        else:
            for name in ("proc", "dev", "tmp", "etc"):
                assert (root / name).is_dir()
                assert not (root / name).is_symlink()
        assert [path.name for path in Path(above).iterdir()] == ["outer"]
        assert sorted(path.name for path in outer.iterdir()) == ["root", "victim"]
        assert (outer / "victim").read_text() == "old"
        assert (outer / "victim").stat().st_nlink == 1
