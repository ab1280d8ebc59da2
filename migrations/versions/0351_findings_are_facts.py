"""What was found when a flag was raised, as facts. The detail says the same in English, also for the version before.

A detail of another form has no facts.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0351"
down_revision = "0350"
branch_labels = None
depends_on = None

_INVENTORY = r"^inventory of (\d{1,9}) agents of type (server|workstation|server_plus), (\d{1,9}) deployed$"
_BACKUPS = r"^backups of (\d{1,9}) machines, (\d{1,9}) agents deployed$"
_LOST = r"^changes were lost (\d{1,9}) times$"
_MACHINE = r"^(.+), (\d{4}-\d\d-\d\d) (\d\d\:\d\d) to (\d{4}-\d\d-\d\d) (\d\d\:\d\d) UTC$"
_READ = rf"""
    update site_flags set finding = coalesce(
        (
            select jsonb_build_object('kind', 'inventory', 'agents', m[1]::int, 'type', m[2], 'deployed', m[3]::int)
            from regexp_match(detail, '{_INVENTORY}') as found(m) where m is not null
        ),
        (
            select jsonb_build_object('kind', 'backups', 'machines', m[1]::int, 'deployed', m[2]::int)
            from regexp_match(detail, '{_BACKUPS}') as found(m) where m is not null
        ),
        (
            select jsonb_build_object('kind', 'lost', 'times', m[1]::int)
            from regexp_match(detail, '{_LOST}') as found(m) where m is not null
        ),
        (
            select jsonb_build_object('kind', 'clone', 'machines', jsonb_agg(jsonb_build_object(
                'hostname', nullif(m[1], '?'),
                'first', m[2] || 'T' || m[3] || '\:00Z', 'last', m[4] || 'T' || m[5] || '\:00Z'
            ) order by place))
            from regexp_split_to_table(detail, '; ') with ordinality as part(said, place),
                regexp_match(said, '{_MACHINE}') as found(m)
            having bool_and(m is not null)
        )
    )
"""


def upgrade() -> None:
    op.add_column("site_flags", sa.Column("finding", postgresql.JSONB(), nullable=True))
    op.execute(_READ)


def downgrade() -> None:
    op.drop_column("site_flags", "finding")
