"""Content security policies: what a browser may load and run for the pages under a path. One place for all of them.

A part of the site that needs more than ours do gets a policy of its own in `BY_PREFIX`, and no other page is
loosened by it.
"""

Policy = dict[str, str]

PAGES: Policy = {
    "default-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# Unfold's menus and dialogs are Alpine expressions in attributes, which Alpine compiles with `Function`. No inline
# script and no inline style: what Unfold would put into pages itself lies in static/css/admin.css.
ADMIN: Policy = PAGES | {"script-src": "'self' 'unsafe-eval'"}

# ReDoc writes its styles as <style> elements, and searches in a worker that it makes of a blob. Swagger UI needs
# nothing of the kind.
REDOC: Policy = PAGES | {"style-src": "'self' 'unsafe-inline'", "worker-src": "blob:"}

BY_PREFIX: tuple[tuple[str, Policy], ...] = (("/admin/", ADMIN), ("/api/redoc", REDOC))


def policy_for(path: str) -> str:
    """The header's value for a page at `path`: of the first prefix that fits, else that of all pages."""
    policy = next((policy for prefix, policy in BY_PREFIX if path.startswith(prefix)), PAGES)
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
