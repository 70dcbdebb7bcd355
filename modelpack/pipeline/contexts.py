"""The context of kubectl: which one a deployment uses, and whether it is that of the last time."""

from __future__ import annotations

from dataclasses import asdict, fields

from modelpack.deployment import Folder
from modelpack.deployment.controllers import KUBECTL, Context, find_context
from modelpack.errors import UsageError


def require_context(
    folder: Folder, platform: str, namespace: str, chosen: str | None
) -> Context | None:
    """Return the context of kubectl, None for a platform without one.

    Args:
        folder: Of the deployment, whose record may name the context where it was applied.
        platform: A key of `TARGETS`.
        namespace: In the files; "" for that of the context.
        chosen: The context of `--context`. It need not be the recorded one.

    Raises:
        UsageError: The current context is not the recorded one, or does not exist.
    """
    if platform not in KUBECTL:
        if chosen is not None:
            raise UsageError(
                f"--context is of no use with --to {platform}.",
                hint="Use it with --to kubernetes or --to kserve.",
            )
        return None
    context, earlier = find_context(chosen, namespace), recorded_context(folder)
    if chosen is None and earlier and _differs(context, earlier, has_namespace=bool(namespace)):
        raise UsageError(
            f"{folder.path} was applied with the {earlier}, but kubectl now has the {context}.",
            hint=_hint(context, earlier),
        )
    return context


def _hint(context: Context, earlier: Context) -> str:
    confirm = f"confirm the other one: --context {context.name}"
    if context.name == earlier.name:
        return confirm[0].upper() + confirm[1:]
    return f"Run: kubectl config use-context {earlier.name} - or {confirm}"


def _differs(context: Context, recorded: Context, *, has_namespace: bool) -> bool:
    """Return whether another cluster is meant. Files that contain a namespace may change it."""
    if not has_namespace and context.namespace != recorded.namespace:
        return True
    return (context.name, context.cluster) != (recorded.name, recorded.cluster)


def recorded_context(folder: Folder) -> Context | None:
    """Return the context where files were applied, None if they were not."""
    found = folder.context
    return Context(*(found.get(each.name, "") for each in fields(Context))) if found else None


def record_context(folder: Folder, context: Context | None) -> None:
    """Record the context where files are about to be applied.

    What was applied with another context is not what a failure returns to.
    """
    if context is None:
        return
    recorded = recorded_context(folder)
    if recorded and _differs(context, recorded, has_namespace=True):
        folder.forget_applied()
    folder.record_context(asdict(context))


def forget_applied(folder: Folder, context: Context | None) -> None:
    """Forget what was applied, unless it was applied with another context."""
    recorded = recorded_context(folder)
    if context is None or recorded is None or not _differs(context, recorded, has_namespace=True):
        folder.forget_applied()
