"""Times of metrics become milliseconds since 1970, and a point that was logged twice becomes one."""

from django.db import migrations, models

TABLES = ("lifecycle_metricpoint", "lifecycle_runmetric")
TO_MILLISECONDS = {
    "postgresql": "ALTER TABLE {} ALTER COLUMN timestamp TYPE bigint USING floor(extract(epoch FROM timestamp) * 1000)",
    # The type of a column is only an advice here; Django makes the table anew, with the new one, afterwards.
    # Its functions round to milliseconds, into the next second too: the digits are taken as they stand.
    "sqlite": "UPDATE {} SET timestamp = CAST(strftime('%s', substr(timestamp, 1, 19)) AS INTEGER) * 1000"
    " + CAST(substr(timestamp || '.000', 21, 3) AS INTEGER)",
}
TO_MOMENTS = {
    "postgresql": "ALTER TABLE {} ALTER COLUMN timestamp TYPE timestamp with time zone"
    " USING to_timestamp(timestamp / 1000.0)",
    "sqlite": "UPDATE {} SET timestamp = strftime('%Y-%m-%d %H:%M:%f', timestamp / 1000.0, 'unixepoch')",
}
ONLY_ONCE = """
DELETE FROM lifecycle_metricpoint WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (
            PARTITION BY run_id, name, dataset, step, timestamp, value, is_nan ORDER BY id
        ) AS place
        FROM lifecycle_metricpoint
    ) AS repeated
    WHERE place > 1
)
"""


def convert(apps, schema_editor):
    _in_each_table(schema_editor, TO_MILLISECONDS)
    schema_editor.execute(ONLY_ONCE)


def convert_back(apps, schema_editor):
    _in_each_table(schema_editor, TO_MOMENTS)


def _in_each_table(schema_editor, statements):
    for table in TABLES:
        schema_editor.execute(statements[schema_editor.connection.vendor].format(table), params=None)


class Migration(migrations.Migration):
    dependencies = [
        ('lifecycle', '0004_let_the_default_experiment_be_nobodys'),
    ]

    operations = [
        migrations.RunPython(convert, migrations.RunPython.noop),
        migrations.RemoveIndex(
            model_name='metricpoint',
            name='points_of_metric',
        ),
        migrations.AlterField(
            model_name='metricpoint',
            name='timestamp',
            field=models.BigIntegerField(help_text='Milliseconds since 1970, UTC', verbose_name='time'),
        ),
        migrations.AlterField(
            model_name='runmetric',
            name='timestamp',
            field=models.BigIntegerField(help_text='Milliseconds since 1970, UTC', verbose_name='time'),
        ),
        migrations.RunPython(migrations.RunPython.noop, convert_back),
        migrations.AddConstraint(
            model_name='metricpoint',
            constraint=models.UniqueConstraint(
                fields=('run', 'name', 'dataset', 'step', 'timestamp', 'value', 'is_nan'), name='each_point_once'
            ),
        ),
    ]
