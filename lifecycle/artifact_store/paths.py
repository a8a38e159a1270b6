"""Which paths an artifact may have inside its run or logged model, and which lie in which folder."""

from urllib.parse import unquote

from core.errors import Invalid
from core.names import name_problem
from core.translation import gettext as _

# S3 keys end at 1,024 bytes and names on common file systems at 255; a model is copied to such a disk to be
# served.
MAX_PATH_BYTES = 1000
MAX_NAME_BYTES = 255
FORBIDDEN_CHARACTERS = "\\?#"


def check_artifact_path(path: str) -> str:
    """Return `path` if it is a plain relative one; raise Invalid, saying what is wrong with it, if not."""
    problem = path_problem(path)
    if problem:
        raise Invalid(problem, fields={"path": problem})
    return path


def path_problem(path: str) -> str | None:
    """What is wrong with an artifact path, or None."""
    if not path:
        return _("Give the path of the file inside the run, such as “model/MLmodel”.")
    if len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        return _("A path has at most %(limit)s bytes.") % {"limit": MAX_PATH_BYTES}
    if problem := name_problem(path.strip()):
        return problem
    if any(character in FORBIDDEN_CHARACTERS for character in path):
        return _("A path holds none of these: %(characters)s") % {
            "characters": " ".join(FORBIDDEN_CHARACTERS)
        }
    # One decoding is the web server's; a path that could be decoded again may mean another file to the next
    # reader.
    if unquote(path) != path:
        return _("The path is percent-encoded twice. Encode it once.")
    return _segments_problem(path.split("/"))


def inside(folder: str, name: str) -> str:
    """The path of `name` in `folder`; "" is the root."""
    return f"{folder}/{name}" if folder else name


def path_in(folder: str, path: str) -> str:
    """What `path`, which lies in `folder`, is called from there."""
    return path.removeprefix(f"{folder}/") if folder else path


def holds(folder: str, path: str) -> bool:
    """Whether `path` is `folder`, or in it."""
    return not folder or f"{path}/".startswith(f"{folder}/")


def _segments_problem(segments: list[str]) -> str | None:
    if "" in segments:
        return _("A path is relative and holds no empty part: “a/b”, not “/a” or “a//b”.")
    if any(segment.strip() in (".", "..") for segment in segments):
        return _("A path holds no “.” and no “..” part.")
    if any(segment != segment.strip() for segment in segments):
        return _("No part of a path begins or ends with a space.")
    if any(len(segment.encode()) > MAX_NAME_BYTES for segment in segments):
        return _("Each part of a path has at most %(limit)s bytes.") % {"limit": MAX_NAME_BYTES}
    return None
