"""Adds a table and changes rows, so that it shows whether it ran over restored ones."""

from pathlib import Path

from django.db import migrations, models

import core.migrations

LATEST = sorted(file.stem for file in Path(core.migrations.__file__).parent.glob("[0-9]*.py"))[-1]


def rename_everybody(apps, schema_editor):
    for user in apps.get_model("core", "User").objects.all():
        user.first_name = f"{user.username} of the newer release"
        user.save()


class Migration(migrations.Migration):
    dependencies = [("core", LATEST)]

    operations = [
        migrations.CreateModel(name="Newer", fields=[("id", models.BigAutoField(primary_key=True))]),
        migrations.RunPython(rename_everybody),
    ]
