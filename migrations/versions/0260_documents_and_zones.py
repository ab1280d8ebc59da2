"""The programme's documents, and the zone in which a person reads times."""

import sqlalchemy as sa
from alembic import op

from migrations.guards import guard, unguard

revision = "0260"
down_revision = "0240"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("zone", sa.String(), nullable=True))
    op.create_table(
        "programme_documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("text_it", sa.String(), nullable=False),
        sa.Column("text_en", sa.String(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.CheckConstraint("kind in ('programme', 'terms', 'privacy')", name=op.f("ck_programme_documents_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programme_documents")),
        sa.UniqueConstraint("kind", "version", name=op.f("uq_programme_documents_kind_version")),
    )
    # Everybody reads them; the vendor alone publishes, and nobody changes one.
    guard("programme_documents", "true", "false", grants="select, insert")


def downgrade() -> None:
    unguard("programme_documents")
    op.drop_table("programme_documents")
    op.drop_column("users", "zone")
