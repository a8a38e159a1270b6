from django.db import migrations


def name_models(apps, schema_editor):
    """Models that were made before prompts could have their names."""
    kept = apps.get_model("lifecycle", "RegisteredModel").objects.filter(deleted_at=None)
    registry_name = apps.get_model("core", "RegistryName")
    rows = (registry_name(name=name, kind="model") for name in kept.values_list("name", flat=True).iterator())
    registry_name.objects.bulk_create(rows, batch_size=1000)


def forget_models(apps, schema_editor):
    apps.get_model("core", "RegistryName").objects.filter(kind="model").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0003_keep_names_that_models_and_prompts_share"),
        ("lifecycle", "0008_let_models_be_deleted"),
    ]

    operations = [migrations.RunPython(name_models, forget_models)]
