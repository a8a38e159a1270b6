"""Take, change and free the names that models and prompts share: for operations that make, rename and delete them."""

from django.db import IntegrityError, transaction

from core.errors import AlreadyExists
from core.lookups import one_or_none
from core.models import RegistryName
from core.models.registry_names import RegistryKind
from core.translation import gettext as _


def kind_of(name: str) -> str | None:
    """What has that name, or None."""
    found = one_or_none(RegistryName.objects.filter(name=name)) if "\x00" not in name else None
    return found.kind if found else None


def take(name: str, kind: RegistryKind) -> None:
    """Raises AlreadyExists when something has the name."""
    try:
        with transaction.atomic():
            RegistryName.objects.create(name=name, kind=kind)
    except IntegrityError as error:
        raise taken(name) from error


def change(name: str, new_name: str) -> None:
    """Raises AlreadyExists when something has the new name, RegistryName.DoesNotExist when nothing has the old one."""
    # Both, in one order: two that change their names for each other's would wait for each other.
    rows = RegistryName.objects.filter(name__in=[name, new_name]).order_by("name").select_for_update()
    held = {row.name: row for row in rows}
    if name != new_name and new_name in held:
        raise taken(new_name)
    row = held.get(name) or RegistryName.objects.get(name=name)
    row.name = new_name
    try:
        with transaction.atomic():
            row.save(update_fields=["name"])
    except IntegrityError as error:
        raise taken(new_name) from error


def free(name: str) -> None:
    RegistryName.objects.filter(name=name).delete()


def taken(name: str) -> AlreadyExists:
    """What to tell who asks for a name that something has."""
    if kind_of(name) == RegistryKind.PROMPT:
        return AlreadyExists(_("There is a prompt “%(name)s” already.") % {"name": name})
    return AlreadyExists(_("There is a model “%(name)s” already.") % {"name": name})
