"""What a report says beside its lines, so that a page of it need not read ten thousand of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0350"
down_revision = "0341"
branch_labels = None
depends_on = None

# As `cover_of` in services/reports/document.py makes it.
_COVER = """
update reports r set cover = (d - 'lines') || jsonb_build_object('daily', daily, 'marks', marks)
from (select id, convert_from(document, 'UTF8')::jsonb as d from reports where document is not null) read,
lateral (
    select jsonb_object_agg(type, series) as daily
    from unnest(array['server', 'workstation', 'server_plus']) type,
    lateral (
        select coalesce(jsonb_agg(total order by day), '[]') as series
        from (
            select day, (select sum((line->'daily'->type->>(day - 1)::int)::int)
                from jsonb_array_elements(d->'lines') line) as total
            from generate_series(1, jsonb_array_length(d->'period'->'days')) day
        ) by_day
    ) summed
) of_days,
lateral (
    select coalesce(jsonb_object_agg(line->>'site_id', own) filter (where own is not null), '{}') as marks
    from jsonb_array_elements(d->'lines') line,
    lateral (
        select jsonb_agg(flag order by place) as own
        from jsonb_array_elements_text(line->'flags') with ordinality told (flag, place)
        where flag in ('estimate', 'voided', 'excused', 'short_period')
    ) decided
) of_lines
where r.id = read.id
"""


def upgrade() -> None:
    op.add_column("reports", sa.Column("cover", postgresql.JSONB()))
    op.execute(_COVER)


def downgrade() -> None:
    op.drop_column("reports", "cover")
