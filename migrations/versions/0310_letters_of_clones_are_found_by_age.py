"""The letters that hold addresses of machines are found by their age, to be emptied after twelve months."""

import sqlalchemy as sa
from alembic import op

revision = "0310"
down_revision = "0230"
branch_labels = None
depends_on = None


def upgrade() -> None:
    of_clones = sa.text("kind = 'clone_suspected'")
    op.create_index("ix_letters_of_clones", "letters", ["posted_at"], postgresql_where=of_clones)


def downgrade() -> None:
    op.drop_index("ix_letters_of_clones", "letters")
